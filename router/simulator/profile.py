"""What a provider is like when nobody asks for anything special: its pace and its models."""

from typing import Annotated, Final, Literal

import msgspec

from router.simulator.latency import Latency

Prefill = Literal["continue", "refuse", "echo"]
Tokens = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The provider's ordinary self.

    `ttft` is the time from the request to the first token, `gap` the time between two tokens, both
    in seconds. An answer that is not streamed takes `ttft` plus one gap a token, which is when its
    stream would have ended; `whole` replaces that sum. `tokens` is the length of an answer, None
    the natural length of its sentence. `models` lists the accepted ids; None accepts every id.
    `prefill` says what becomes of an assistant's message that stands last: it is continued, refused,
    or repeated before it is continued.
    """

    ttft: Latency = Latency()
    gap: Latency = Latency()
    whole: Latency | None = None
    tokens: Tokens | None = None
    models: tuple[str, ...] | None = None
    prefill: Prefill = "continue"


REALISTIC: Final = Profile(
    ttft=Latency.lognormal(0.25, 0.35, straggler_share=0.01, straggler_factor=6.0),
    gap=Latency.lognormal(0.018, 0.45),
)
"""A pace like that of a hosted model of middle size; what a person trying the demo meets."""
