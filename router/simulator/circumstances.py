"""What surrounds an answer without being asked for in it: the provider's state at this request."""

import msgspec

from router.simulator.behaviour import Behaviour
from router.simulator.performance import Headers
from router.simulator.profile import Prefill, Profile
from router.simulator.timing import Timing


class Circumstances(msgspec.Struct, frozen=True):
    """`created` is in unix seconds; `headers` go out with the answer, whatever it is."""

    profile: Profile
    behaviour: Behaviour
    timing: Timing
    name: str
    created: int
    headers: Headers

    @property
    def tokens(self) -> int | None:
        """The wanted length of an answer, None for its natural one."""
        ordered = self.behaviour.tokens
        return self.profile.tokens if ordered is None else ordered

    @property
    def prefill(self) -> Prefill:
        """What becomes of an assistant's message that stands last."""
        return self.behaviour.prefill or self.profile.prefill
