"""An answer that is decided, told in its dialect: as a whole, or as a stream."""

from collections.abc import Sequence

import msgspec

from router.simulator.choices import Choice
from router.simulator.circumstances import Circumstances
from router.simulator.idiom import Idiom
from router.simulator.performance import Performance
from router.simulator.streaming import Script, streamed_answer
from router.simulator.usage import Usage
from router.simulator.voice import Voice
from router.simulator.whole import whole_answer


class Telling(msgspec.Struct, frozen=True):
    """What is told, by which voice, in whose words."""

    voice: Voice
    choices: Sequence[Choice]
    usage: Usage
    idiom: Idiom
    around: Circumstances

    def whole(self) -> Performance:
        """One JSON, when the longest choice is ready."""
        around = self.around
        return whole_answer(
            self.voice.whole(self.choices, self.usage),
            at=around.timing.ready(max(choice.produced for choice in self.choices)),
            idiom=self.idiom,
            behaviour=around.behaviour,
            headers=around.headers,
        )

    def streamed(self, *, asked: bool = False) -> Performance:
        """Events as the tokens come; `asked` says whether usage is wanted in a chunk of its own."""
        around = self.around
        script = Script(
            self.voice,
            self.choices,
            idiom=self.idiom,
            behaviour=around.behaviour,
            timing=around.timing,
        )
        return streamed_answer(
            script.steps(self.usage, asked=asked),
            at=around.timing.first,
            idiom=self.idiom,
            behaviour=around.behaviour,
            headers=around.headers,
        )
