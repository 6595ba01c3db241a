"""Discovery in virtual time: when providers are asked, and what their failures change (nothing)."""

from collections.abc import Callable

import msgspec
import pytest
import trio
import trio.testing

from router.catalog.candidate import ProviderWire
from router.catalog.catalog import Catalog
from router.catalog.discovery import (
    PATIENCE_SECONDS,
    decode_names,
    discover_forever,
    discover_once,
)
from router.config import Config, ProviderConfig

Answer = bytes | Exception | float


def body(*names: str) -> bytes:
    return msgspec.json.encode({"object": "list", "data": [{"id": name} for name in names]})


def named(*models: tuple[str, str, list[str]]) -> bytes:
    """A list as Google and Cohere give it."""
    listed = [{"name": name, field: uses} for name, field, uses in models]
    return msgspec.json.encode({"models": listed, "nextPageToken": ""})


class Providers:
    """Fake providers: each gives its answers in turn, the last one for ever; a number is a silence."""

    def __init__(self, **answers: list[Answer]) -> None:
        self._answers = answers
        self.asked: list[tuple[float, str]] = []

    async def fetch(self, wire: ProviderWire) -> bytes:
        self.asked.append((trio.current_time(), wire.provider))
        answers = self._answers[wire.provider]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, float):
            await trio.sleep(answer)
            return body("late")
        await trio.lowlevel.checkpoint()
        return answer

    def catalog(self) -> Catalog:
        config = ProviderConfig(base_url="http://host/v1", discover=True)
        return Catalog(Config(providers=dict.fromkeys(self._answers, config)), ())


class Failures:
    """Collects what discovery reports."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, type[Exception]]] = []

    def report(self, provider: str, error: Exception) -> None:
        self.seen.append((provider, type(error)))


def ids(catalog: Catalog) -> list[str]:
    return [route.id for route in catalog.listing()]


async def run_for(
    seconds: float, providers: Providers, catalog: Catalog, report: Callable[[str, Exception], None]
) -> None:
    with trio.move_on_after(seconds):
        await discover_forever(catalog, providers.fetch, report=report, every=300)


async def test_providers_are_asked_at_once_and_again_after_every_pause(
    autojump_clock: trio.testing.MockClock,
) -> None:
    providers = Providers(a=[body("x")], b=[body("y")])
    catalog = providers.catalog()
    failures = Failures()
    start = trio.current_time()
    await run_for(601, providers, catalog, failures.report)
    rounds = [(round(at - start), name) for at, name in providers.asked]
    assert rounds == [(at, name) for at in (0, 300, 600) for name in ("a", "b")]
    assert ids(catalog) == ["a/x", "b/y"]
    assert failures.seen == []


async def test_a_later_list_replaces_the_earlier_one(
    autojump_clock: trio.testing.MockClock,
) -> None:
    providers = Providers(a=[body("x", "y"), body("y", "z")])
    catalog = providers.catalog()
    await discover_once(catalog, providers.fetch, report=Failures().report)
    assert ids(catalog) == ["a/x", "a/y"]
    await discover_once(catalog, providers.fetch, report=Failures().report)
    assert ids(catalog) == ["a/y", "a/z"]


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (OSError("refused"), OSError),
        (RuntimeError("bug"), RuntimeError),
        (b"<html>", msgspec.DecodeError),
        (b'{"error": "no"}', msgspec.ValidationError),
        (b'{"data": [{"id": 3}]}', msgspec.ValidationError),
        (PATIENCE_SECONDS + 1, trio.TooSlowError),
    ],
    ids=["transport", "bug", "no-json", "no-list", "no-names", "silence"],
)
async def test_a_failure_is_reported_keeps_what_was_known_and_ends_nothing(
    autojump_clock: trio.testing.MockClock, failure: Answer, kind: type[Exception]
) -> None:
    providers = Providers(a=[body("x"), failure, body("y")], b=[body("z")])
    catalog = providers.catalog()
    failures = Failures()
    await run_for(10, providers, catalog, failures.report)
    await run_for(200, providers, catalog, failures.report)
    assert failures.seen == [("a", kind)]
    assert ids(catalog) == ["a/x", "b/z"]
    await run_for(10, providers, catalog, failures.report)
    assert ids(catalog) == ["a/y", "b/z"]


async def test_a_silent_provider_holds_the_others_up_for_a_bounded_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    providers = Providers(a=[1e6], b=[body("x")])
    catalog = providers.catalog()
    start = trio.current_time()
    await discover_once(catalog, providers.fetch, report=Failures().report)
    assert trio.current_time() - start == pytest.approx(PATIENCE_SECONDS)
    assert ids(catalog) == ["b/x"]


async def test_cancellation_passes_and_is_not_reported(
    autojump_clock: trio.testing.MockClock,
) -> None:
    providers = Providers(a=[10.0])
    catalog = providers.catalog()
    failures = Failures()
    with trio.move_on_after(5) as scope:
        await discover_forever(catalog, providers.fetch, report=failures.report)
    assert scope.cancelled_caught
    assert failures.seen == []
    assert ids(catalog) == []


async def test_a_reload_during_a_question_wins_over_its_answer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    providers = Providers(a=[10.0])
    catalog = providers.catalog()
    moved = ProviderConfig(base_url="http://elsewhere/v1", discover=True)
    async with trio.open_nursery() as nursery:

        async def discover() -> None:
            await discover_once(catalog, providers.fetch, report=Failures().report)

        nursery.start_soon(discover)
        await trio.sleep(5)
        catalog.reload(Config(providers={"a": moved}))
    assert ids(catalog) == []


async def test_discovery_with_nobody_to_ask_still_gives_way(
    autojump_clock: trio.testing.MockClock,
) -> None:
    with trio.testing.assert_checkpoints():
        await discover_once(Catalog(Config(), ()), Providers().fetch, report=Failures().report)


@pytest.mark.parametrize(
    ("provider", "answer", "names"),
    [
        ("mine", b'{"data": [{"id": "a", "object": "model"}, {"id": "b"}]}', ["a", "b"]),
        ("mine", b'[{"id": "a", "type": "chat"}]', ["a"]),
        ("mine", b'{"data": []}', []),
        ("google", b'{"data": [{"id": "models/gemini-x"}]}', ["gemini-x"]),
        ("mine", b'{"data": [{"id": "models/x"}]}', ["models/x"]),
        (
            "anthropic",
            b'{"data":[{"type":"model","id":"claude-x","display_name":"X"}],"has_more":false}',
            ["claude-x"],
        ),
        (
            "google",
            named(
                ("models/gemini-x", "supportedGenerationMethods", ["generateContent", "x"]),
                ("models/embed", "supportedGenerationMethods", ["embedContent"]),
                ("models/veo", "supportedGenerationMethods", ["predictLongRunning"]),
            ),
            ["gemini-x", "embed"],
        ),
        (
            "cohere",
            named(
                ("command-x", "endpoints", ["generate", "chat"]),
                ("tuned", "endpoints", ["classify"]),
                ("rerank-x", "endpoints", ["rerank"]),
            ),
            ["command-x", "rerank-x"],
        ),
        ("mine", b'{"data": [{"id": "a"}], "models": [{"name": "b"}]}', ["a"]),
        ("mine", b'{"data": [{"id": ""}, {"id": "a\\nb"}, {"id": "c"}]}', ["c"]),
        ("mine", body("x" * 257, "x" * 256), ["x" * 256]),
    ],
)
def test_names_are_read_from_every_kind_of_list(
    provider: str, answer: bytes, names: list[str]
) -> None:
    assert decode_names(provider, answer) == names


def test_a_list_without_end_is_cut() -> None:
    assert len(decode_names("mine", body(*map(str, range(6000))))) == 5000
