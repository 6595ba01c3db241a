"""A picture of the tail: which share of the answered requests still waited after so many seconds.

Both axes are logarithmic, because what a hedge policy changes lies in the last percents: on a linear axis the
99th percentile and the maximum are one corner. The SVG holds everything it needs, and any browser shows it.
"""

from collections.abc import Iterator, Sequence
from math import ceil, floor, log10
from typing import Final
from xml.sax.saxutils import escape

_WIDTH: Final = 800
_HEIGHT: Final = 480
_FONT: Final = 'font-family="sans-serif" font-size="13"'
_LEFT: Final = 80
_RIGHT: Final = 30
_TOP: Final = 30
_BOTTOM: Final = 60
_POINTS_A_DECADE: Final = 60
_COLOURS: Final = ("#0b6e99", "#c2410c", "#4d7c0f", "#7e22ce")

Point = tuple[float, float]


def waiting_plot(runs: Sequence[tuple[str, Sequence[float]]]) -> str:
    """Return the SVG for some runs: a name, and the seconds to the first token of each answered request."""
    curves = [(name, _curve(sorted(times))) for name, times in runs]
    scale = _Scale([point for _, curve in curves for point in curve])
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" {_FONT}>',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        *_grid(scale),
    ]
    for number, (name, curve) in enumerate(curves):
        lines += _drawn(scale, number, name, curve)
    return "\n".join([*lines, "</svg>", ""])


class _Scale:
    """From seconds and shares to places in the picture, over whole decades."""

    def __init__(self, points: Sequence[Point]) -> None:
        times = [seconds for seconds, _ in points] or [1.0]
        self.first = floor(log10(min(times)))
        self.last = max(self.first + 1, ceil(log10(max(times))))
        self.lowest = min(-1, floor(log10(min((share for _, share in points), default=0.1))))

    def x(self, seconds: float) -> float:
        part = (log10(seconds) - self.first) / (self.last - self.first)
        return _LEFT + part * (_WIDTH - _LEFT - _RIGHT)

    def y(self, share: float) -> float:
        return _TOP + log10(share) / self.lowest * (_HEIGHT - _TOP - _BOTTOM)


def _curve(ordered: Sequence[float]) -> list[Point]:
    """Return points of a curve: the time by which all but a share have been answered.

    As many points in each tenfold of the share, the last of them being one request.
    """
    total = len(ordered)
    if not total:
        return []
    steps = ceil(log10(total) * _POINTS_A_DECADE)
    waiting = {max(1, round(total * 10 ** (-step / _POINTS_A_DECADE))) for step in range(steps + 1)}
    return [
        (max(ordered[total - left], 1e-6), left / total) for left in sorted(waiting, reverse=True)
    ]


def _grid(scale: _Scale) -> Iterator[str]:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    for power in range(scale.first, scale.last + 1):
        for step in range(1, 10 if power < scale.last else 2):
            x = scale.x(step * 10.0**power)
            grey = "#bbb" if step == 1 else "#eee"
            yield f'<path d="M{x:.1f} {_TOP}V{bottom}" stroke="{grey}"/>'
        x = scale.x(10.0**power)
        yield f'<text x="{x:.1f}" y="{bottom + 20}" text-anchor="middle">{10.0**power:g} s</text>'
    for power in range(scale.lowest, 1):
        y = scale.y(10.0**power)
        yield f'<path d="M{_LEFT} {y:.1f}H{right}" stroke="#bbb"/>'
        yield f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{10.0 ** (power + 2):g} %</text>'
    middle = (_LEFT + right) / 2
    yield (
        f'<text x="{middle:.0f}" y="{_HEIGHT - 15}" text-anchor="middle">'
        "time to first token, and the share that still waits</text>"
    )


def _drawn(scale: _Scale, number: int, name: str, curve: Sequence[Point]) -> Iterator[str]:
    colour = _COLOURS[number % len(_COLOURS)]
    if curve:
        path = "L".join(f"{scale.x(seconds):.1f} {scale.y(share):.1f}" for seconds, share in curve)
        yield f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
    y = _TOP + 20 + 20 * number
    yield (
        f'<text x="{_WIDTH - _RIGHT - 10}" y="{y}" text-anchor="end" fill="{colour}">'
        f"{escape(name)}</text>"
    )
