"""How the comparison was made, in words, for those who read only a result."""

from bench.compare.course import BEGIN_SECONDS, STARTS_PER_SECOND
from bench.compare.field import LITELLM_STREAMS, MANY_STREAMS, PART_CONNECTIONS, PART_STREAMS
from bench.compare.record import Settings
from bench.cores import Layout
from bench.prose import paragraphs

_METHOD = """
Each contestant stands alone before the same upstream, a responder that sends canned bytes, and is loaded
by the same load generator. {placement}

Ours is a gateway as it is installed, with a prepaid caller whose key and account have limits on requests,
tokens and calls at once, prices, the journal and the ledger in SQLite. The others are in their cheapest
form: no keys, no store, no logs, no retries, one worker. Relays and routers do less than a gateway does:
they are the marks to aim at.

CPU is time of all processes of a contestant by their own clocks, over a window of {seconds:g} s after
{warm:g} s of load, divided by the answers or the events that came in it. Nothing is subtracted.

Requests: answers in one piece over kept connections in a closed loop. Streams: as many as named are open
at once, begun at {starts} a second, an event each {gap} ms. Where that would be more than {most:,.0f}
events a second, all streams share {shared:,.0f} instead. A star marks who delivered less than 95 % of
them: events that wait are handed on together, which costs less for each. Lost are streams that had not
begun {begin:g} s after the last was asked for, or broke.

Time to first token: short streams at random moments, {probe:g} a second, beside the open ones; the same
against the upstream alone is subtracted.

Memory is PSS. A stream's is what the contestant grew by when it held its first and largest number of
streams. Start: from the start of the process to its first right answer.

"tls" has the upstream behind TLS. "2-workers" runs two workers on all cores, which the load needs too;
its capacity is twice what a worker's cost allows, beside one worker's. All three have {part_connections}
connections and {part_streams} streams only. {many:,} streams are asked of ours alone, and of LiteLLM no
more than {litellm}.

Medians of {runs} runs, each with fresh processes; all contestants take a turn before any takes its next.
"""


def compare_method(settings: Settings, layout: Layout) -> list[str]:
    """Return the paragraphs."""
    placement = (
        "One core belongs to the contestant, and the load and the upstream share the others."
        if layout.divided
        else "Everything shares one core."
    )
    text = _METHOD.format(
        placement=placement,
        seconds=settings.seconds,
        warm=settings.warm,
        starts=STARTS_PER_SECOND,
        gap=settings.gap_ms,
        most=settings.most_rate,
        shared=settings.shared_rate,
        probe=settings.probe_rate,
        part_connections=PART_CONNECTIONS,
        part_streams=PART_STREAMS,
        many=MANY_STREAMS,
        runs=settings.runs,
        begin=BEGIN_SECONDS,
        litellm=LITELLM_STREAMS,
    )
    return paragraphs(text)
