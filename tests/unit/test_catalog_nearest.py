"""The ids that are named to someone who asked for one that does not exist."""

import pytest

from adapters.providers import KNOWN_PROVIDERS
from router.catalog.catalog import Catalog
from router.catalog.models import load_seed
from router.catalog.nearest import NearestIndex
from router.config import Config, load_config


def everyone() -> Config:
    variables = {v: "k" for p in KNOWN_PROVIDERS.values() for v in p.key_variables[:1]}
    return load_config(None, variables | {"HOME": "/nowhere", "OLLAMA_HOST": "localhost"})


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("anthropic/claude-haiku-4.5", "anthropic/claude-haiku-4-5"),
        ("claude-opus-4_7", "anthropic/claude-opus-4-7"),
        ("GPT-4O", "openai/gpt-4o"),
        ("openai/gpt-4o-minni", "openai/gpt-4o-mini"),
        ("text-embeding-3-small", "openai/text-embedding-3-small"),
        ("openai/claude-opus-4-7", "anthropic/claude-opus-4-7"),
    ],
)
def test_the_id_that_was_meant_is_nearest(wrong: str, right: str) -> None:
    found = Catalog(everyone(), load_seed())
    assert found.nearest(wrong)[0] == right


def test_nothing_is_near_to_nonsense() -> None:
    found = Catalog(everyone(), load_seed())
    assert found.nearest("%%%%") == []
    assert found.nearest("") == []


def test_no_more_are_named_than_asked_for() -> None:
    found = Catalog(everyone(), load_seed())
    assert len(found.nearest("claude-opus")) == 3
    assert len(found.nearest("claude-opus", n=1)) == 1


def test_looking_for_the_nearest_does_not_touch_pieces_that_thousands_share() -> None:
    crowd = [f"model-{number}" for number in range(10_001)]
    assert NearestIndex(crowd).nearest("model-", 3) == []
    assert NearestIndex(crowd).nearest("model-1234", 1) == ["model-1234"]
