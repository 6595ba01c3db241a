"""What the simulated model thinks before it answers, where a dialect lets it be seen."""

from router.simulator.fields import ChatFields
from router.simulator.prose import quote, text_of
from router.simulator.words import split_tokens


def thoughts_on(fields: ChatFields) -> list[str]:
    """The tokens of its thoughts about the last message."""
    asked = text_of(fields.messages[-1].content)
    return split_tokens(f"They said {quote(asked)}. I cannot think, so I say what I received.")
