"""How the results were measured, in words, for those who read only a result.

The texts are kept inside each result file, so that an old figure keeps the method it was made with.
"""

from bench.cores import Layout
from bench.modelled import TOKENS
from bench.prose import paragraphs
from bench.race_record import AgreementSettings, StragglerSettings
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

_STRAGGLERS = """
Three gateways, each with the default configuration but for what is named here, run side by side before
upstreams of their own: three simulated providers each, whose times to first token are log-normal. The first
has no stragglers and does not hedge; for the second, {share:.0%} of the attempts take {factor:g} times as
long; the third has these and hedges. Where the times shift, they do so at once for all, in the middle of
the run.

Requests: streams of {tokens} tokens, {rate:g} a second to each gateway, at random moments whether or not
others are answered; {requests:,} a run, twice as many where the times shift, each on a connection of its own.
The time to first token counts from the moment at which a request was due, so it contains connecting, the
gateway, and whatever the machine held it up with. Every answer is checked to the byte.

Extra upstream requests are those that the providers counted. Percentiles are nearest ranks of all requests of
a run; in a hundredth of {requests:,} the 99th has a standard error of about 2 % at sigma 0.5.

"Virtual" is the same scenario played by the code of `syze simulate`, with other luck: it is without a
machine's noise, not without chance. A cell whose median without stragglers lay more than {noise:.0%} above
its virtual twin was played again at the end, and the run whose median lay nearer is the one shown.
"""

_AGREEMENT = """
The scenario below, played once over real sockets (a gateway process with its `[race]`, simulated providers
that draw from its distributions) and {virtual_runs} times by `syze simulate`, each with luck of its own. The
run over sockets is compared with the median of these; their least and greatest tell what chance does.

Over sockets the time to first token counts from the moment at which a request was due, so it contains
connecting, the gateway and the machine; upstream requests are those that the providers counted.
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
    return paragraphs(text)


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
    return paragraphs(text)


def stragglers_method(settings: StragglerSettings, *, share: float, factor: float) -> list[str]:
    """The paragraphs for `stragglers`."""
    text = _STRAGGLERS.format(
        share=share,
        factor=factor,
        tokens=TOKENS,
        rate=settings.rate,
        requests=settings.requests,
        noise=settings.noise,
    )
    return paragraphs(text)


def agreement_method(settings: AgreementSettings) -> list[str]:
    """The paragraphs for `agreement`."""
    return paragraphs(_AGREEMENT.format(virtual_runs=settings.virtual_runs))


def _placement(layout: Layout) -> str:
    return _DIVIDED if layout.divided else _UNDIVIDED
