"""Pictures of a load as SVG, drawn without a library and shown by any browser.

The first kind has the share of all on an axis that gives each further nine the same room, since what
operators ask of a distribution lies in its last percents; times are logarithmic. The second follows the
load over time.
"""

from collections.abc import Iterator, Sequence
from math import ceil, floor, log10
from typing import Final
from xml.sax.saxutils import escape

_WIDTH: Final = 760
_HEIGHT: Final = 300
_LEFT: Final = 70
_RIGHT: Final = 20
_TOP: Final = 20
_BOTTOM: Final = 45
COLOURS: Final = ("#0b6e99", "#c2410c", "#4d7c0f", "#7e22ce")
_LEAST_SECONDS: Final = 1e-5
_MOST_NINES: Final = 5

Point = tuple[float, float]
Curve = tuple[str, Sequence[Point]]


def percentile_plot(curves: Sequence[Curve]) -> str:
    """Draw distributions: points are (share of all, less than 1, seconds within which they lie)."""
    drawn = [
        (name, [(_nines(share), seconds) for share, seconds in points]) for name, points in curves
    ]
    nines = max((x for _, points in drawn for x, _ in points), default=1.0)
    frame = _Frame(drawn, last_x=max(1.0, min(nines, _MOST_NINES)))
    marks = [(_nines(share), f"{100 * share:g} %") for share in (0, 0.5, 0.9, 0.99, 0.999, 0.9999)]
    return _svg(frame, drawn, marks)


def time_plot(curves: Sequence[Curve], *, seconds: float) -> str:
    """Draw seconds (of latency) over seconds (of the load)."""
    frame = _Frame(curves, last_x=max(seconds, 1.0))
    step = 10 ** floor(log10(max(seconds, 1.0)))
    step = step / 2 if seconds / step < 3 else step
    marks = [(number * step, f"{number * step:g} s") for number in range(int(seconds / step) + 1)]
    return _svg(frame, curves, marks)


def bar_plot(bars: Sequence[tuple[float, int, int]], *, width: float) -> str:
    """Draw requests over time, those that failed in another colour.

    (second, requests, failed) for each bar.
    """
    most = max((requests for _, requests, _ in bars), default=1) or 1
    last = max((at for at, _, _ in bars), default=0.0) + width
    room = _WIDTH - _LEFT - _RIGHT
    high = _HEIGHT - _TOP - _BOTTOM
    parts = [
        _text(_LEFT - 8, _TOP + 5, f"{most:,}", "end"),
        _text(_LEFT, _HEIGHT - 20, "0 s", "middle"),
    ]
    parts.append(_text(_WIDTH - _RIGHT, _HEIGHT - 20, f"{last:g} s", "end"))
    for at, requests, failed in bars:
        x = _LEFT + at / last * room
        for number, colour in ((requests, COLOURS[0]), (failed, COLOURS[1])):
            tall = number / most * high
            parts.append(
                f'<rect x="{x:.1f}" y="{_TOP + high - tall:.1f}" height="{tall:.1f}" '
                f'width="{max(1.0, width / last * room - 1):.1f}" fill="{colour}"/>'
            )
    return _wrapped(parts)


class _Frame:
    """From values to places in the picture; y is logarithmic, over whole decades."""

    def __init__(self, curves: Sequence[Curve], *, last_x: float) -> None:
        values = [max(y, _LEAST_SECONDS) for _, points in curves for _, y in points] or [1.0]
        self.first = floor(log10(min(values)))
        self.last = max(self.first + 1, ceil(log10(max(values))))
        self.last_x = last_x

    def x(self, value: float) -> float:
        return _LEFT + min(value, self.last_x) / self.last_x * (_WIDTH - _LEFT - _RIGHT)

    def y(self, seconds: float) -> float:
        part = (log10(max(seconds, _LEAST_SECONDS)) - self.first) / (self.last - self.first)
        return _HEIGHT - _BOTTOM - part * (_HEIGHT - _TOP - _BOTTOM)


def _svg(frame: _Frame, curves: Sequence[Curve], marks: Sequence[tuple[float, str]]) -> str:
    parts = list(_grid(frame, marks))
    for number, (name, points) in enumerate(curves):
        colour = COLOURS[number % len(COLOURS)]
        path = "L".join(f"{frame.x(x):.1f} {frame.y(y):.1f}" for x, y in points)
        if path:
            parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(_text(_LEFT + 10, _TOP + 15 + 18 * number, name, "start", colour))
    return _wrapped(parts)


def _grid(frame: _Frame, marks: Sequence[tuple[float, str]]) -> Iterator[str]:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    for power in range(frame.first, frame.last + 1):
        y = frame.y(10.0**power)
        yield f'<path d="M{_LEFT} {y:.1f}H{right}" stroke="#ccc"/>'
        yield _text(_LEFT - 8, y + 4, _seconds(10.0**power), "end")
    for value, label in marks:
        if value <= frame.last_x:
            x = frame.x(value)
            yield f'<path d="M{x:.1f} {_TOP}V{bottom}" stroke="#eee"/>'
            yield _text(x, bottom + 20, label, "middle")


def _wrapped(parts: Sequence[str]) -> str:
    head = (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="12" role="img">'
    )
    return "\n".join([head, *parts, "</svg>"])


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#444") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'


def _nines(share: float) -> float:
    """Return 1 for 90 %, 2 for 99 % and so on."""
    return -log10(1.0 - share)


def _seconds(value: float) -> str:
    if value >= 1:
        return f"{value:g} s"
    return f"{value * 1000:g} ms" if value >= 1e-3 else f"{value * 1e6:g} µs"
