"""How the results were measured, in words, for those who read only a result.

The texts are kept inside each result file, so that an old figure keeps the method it was made with.
"""

from bench.cores import Layout
from bench.record import EnduranceSettings, FigureSettings

_FIGURES = """
CPU time is user + system time of the gateway process, read from the operating system (/proc/PID/stat,
ticks of 10 ms) at both ends of a window of steady load, divided by the units finished in the window.
Nothing is subtracted.

{placement}

One gateway worker with the default configuration: authentication, model lookup, every event checked
and forwarded, usage read, metrics, and one JSON log line a request, written to a file.

Requests: POST /v1/chat/completions without streaming, {tokens} tokens in the answer, kept-alive
connections in a closed loop; the provider answers at once.

Events: streams of single tokens, {event_rate:g} events a second over all streams together. The
provider writes each event by itself, so the gateway gets as many pieces as events.

Windows of {seconds:g} s after {warm:g} s of load. Medians of {runs} runs, each with a fresh gateway.
Every answer is checked to the byte; a wrong one ends the measurement.
"""

_ENDURANCE = """
{streams:,} concurrent streams of {seconds:g} s, {rate:g} events a second each, through one gateway
worker with the default configuration. They start over {spread:g} s. Each has its own question, and its
text must equal, to the byte, what the provider's rules give for that question; role, finish reason,
usage, [DONE] and the end of the body are checked too.

{placement}

Memory is RSS of the gateway process (/proc/PID/smaps_rollup). "Fresh" is before the first request.
"Warmed" is after a first round of as many streams of {warm_up:g} s and {settle:g} s of rest: what a
process that has once seen this load keeps for good. "After" is {settle:g} s after the last stream.
The rest is longer than idle connections to the provider are kept.

CPU time is user + system time of the processes (/proc/PID/stat) from before the first stream to after
the last.
"""

_DIVIDED = """
The gateway has one processor core to itself; the load generator and the simulated provider share the
rest.
"""
_UNDIVIDED = "Everything shares one processor core."


def figures_method(settings: FigureSettings, layout: Layout) -> list[str]:
    """The paragraphs for `figures`."""
    text = _FIGURES.format(
        placement=_placement(layout),
        tokens=settings.tokens,
        event_rate=settings.event_rate,
        seconds=settings.seconds,
        warm=settings.warm,
        runs=settings.runs,
    )
    return _paragraphs(text)


def endurance_method(settings: EnduranceSettings, layout: Layout) -> list[str]:
    """The paragraphs for `endurance`."""
    text = _ENDURANCE.format(
        placement=_placement(layout),
        streams=settings.streams,
        seconds=settings.seconds,
        rate=settings.rate,
        spread=settings.spread,
        warm_up=settings.warm_up,
        settle=settings.settle,
    )
    return _paragraphs(text)


def _placement(layout: Layout) -> str:
    return _DIVIDED if layout.divided else _UNDIVIDED


def _paragraphs(text: str) -> list[str]:
    return [
        " ".join(paragraph.split()) for paragraph in text.strip().split("\n\n") if paragraph.strip()
    ]
