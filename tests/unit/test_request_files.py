"""The files of a request: who fetches, who waits, who takes over; and where in a request a URL stands."""

from collections.abc import Sequence

import msgspec
import pytest
import trio
import trio.testing

from adapters.dialect import File
from adapters.middle.place import place_of
from router.errors import FileNotFetched
from router.exchange.files import RequestFiles
from router.upstream.fetching import CannotFetch, Fetched

IMAGE = Fetched("image/png", b"abc")
FILE = File("image/png", "YWJj")


class Fetching:
    """Takes a second for any URLs, and fails for those that are called `bad`."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    async def all(self, urls: Sequence[str]) -> dict[str, Fetched]:
        self.asked.append(list(urls))
        await trio.sleep(1)
        for url in urls:
            if url == "bad":
                raise CannotFetch(url, "it is bad")
        return dict.fromkeys(urls, IMAGE)


def fields(**values: object) -> dict[str, msgspec.Raw]:
    return {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in values.items()}


async def test_those_who_come_later_wait_and_get_the_same(
    autojump_clock: trio.testing.MockClock,
) -> None:
    fetching = Fetching()
    files = RequestFiles(fetching.all, {})
    found = []

    async def want(*urls: str) -> None:
        found.append(dict(await files.of(urls)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(want, "a", "b")
        await trio.sleep(0.5)
        nursery.start_soon(want, "a")
    assert found == [{"a": FILE, "b": FILE}] * 2
    assert fetching.asked == [["a", "b"]]
    assert (await files.of(["b", "c"])).keys() == {"a", "b", "c"}
    assert fetching.asked == [["a", "b"], ["c"]]


async def test_whoever_waits_takes_over_from_one_who_is_cancelled(
    autojump_clock: trio.testing.MockClock,
) -> None:
    fetching = Fetching()
    files = RequestFiles(fetching.all, {})
    first = trio.CancelScope()

    async def loser() -> None:
        with first:
            await files.of(["a"])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(loser)
        await trio.sleep(0.5)
        nursery.start_soon(files.of, ["a"])
        await trio.sleep(0.25)
        first.cancel()
    assert first.cancelled_caught
    assert trio.current_time() == 1.75
    assert await files.of(["a"]) == {"a": FILE}
    assert len(fetching.asked) == 2


async def test_a_failure_is_told_to_all_and_not_tried_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    fetching = Fetching()
    files = RequestFiles(fetching.all, fields(messages=[{"content": [{"url": "bad"}]}]))
    failures = []

    async def want() -> None:
        with pytest.raises(FileNotFetched) as caught:
            await files.of(["bad"])
        failures.append(caught.value)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(want)
        nursery.start_soon(want)
    await want()
    assert fetching.asked == [["bad"]]
    assert {failure.param for failure in failures} == {"messages[0].content[0].url"}
    assert len({id(failure) for failure in failures}) == 3
    assert all("it is bad" in failure.message for failure in failures)


@pytest.mark.parametrize(
    ("request_fields", "place"),
    [
        (fields(input="u", messages=[]), "input"),
        (fields(model="m", messages=[{"a": 1}, {"a": ["x", {"b": "u"}]}]), "messages[1].a[1].b"),
        ({"input": msgspec.Raw(b'["\\u0075"]')}, "input[0]"),
        (fields(input=["not u", {"u": "v"}]), None),
        (fields(input=[{"text": "u"}, {"image_url": "u"}, {"url": "u"}]), "input[1].image_url"),
        ({"input": msgspec.Raw(b"[" * 100_000 + b"]" * 100_000)}, None),
        ({"input": msgspec.Raw(b'["\xff"]')}, None),
    ],
)
def test_the_place_of_a_text_is_told_as_errors_tell_it(
    request_fields: dict[str, msgspec.Raw], place: str | None
) -> None:
    assert place_of("u", request_fields) == place
