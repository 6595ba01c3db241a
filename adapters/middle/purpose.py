"""What a text is embedded for, which some models want to know: a question looks for answers, not questions.

OpenAI's clients have no word for it. Those who know better send `input_type`, in whichever provider's words;
here they become one set, and each dialect says it in its own. A word that is not known goes on as it is, for
its provider to judge.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

Purpose = Literal["query", "document", "similarity", "classification", "clustering"]

_PURPOSES: Final[Mapping[str, Purpose]] = MappingProxyType(
    {
        "query": "query",
        "search_query": "query",
        "retrieval_query": "query",
        "document": "document",
        "passage": "document",
        "search_document": "document",
        "retrieval_document": "document",
        "retrieval_passage": "document",
        "similarity": "similarity",
        "semantic_similarity": "similarity",
        "text_matching": "similarity",
        "classification": "classification",
        "clustering": "clustering",
        "separation": "clustering",
    }
)


def in_words(input_type: str | None, words: Mapping[Purpose, str]) -> str | None:
    """Return a dialect's word for what a client said, `None` where there is nothing to say."""
    if input_type is None:
        return None
    purpose = _PURPOSES.get(input_type.lower().replace(".", "_").replace("-", "_"))
    return input_type if purpose is None else words.get(purpose)
