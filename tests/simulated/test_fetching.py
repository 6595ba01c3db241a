"""Fetching files from strangers' URLs: what comes back, and what is never connected to."""

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from router.upstream.fetching import CannotFetch, Fetched, Fetcher, FetchLimits
from router.upstream.origin import Origin
from router.upstream.pinned import PinnedDialer
from router.upstream.public_address import Address, address_is_public
from tests.simulated.file_hosts import JPEG, OTHER, PNG, PUBLIC, after, answer, moved
from tests.simulated.file_hosts import FileHosts as World
from tests.simulated.scripted_upstream import Peer, Script, answering

MakeWorld = Callable[..., World]


@pytest.fixture
def make_world(nursery: trio.Nursery) -> MakeWorld:
    return lambda **limits: World(nursery, **limits)


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world()


# --- what comes back --------------------------------------------------------------------------------


async def test_a_file_is_fetched_by_name_from_the_checked_address(world: World) -> None:
    world.host("a.test", answer())
    assert await world.fetch("https://a.test/b.png?c=d#e") == Fetched("image/png", PNG)
    assert world.dialled == [(PUBLIC, Origin("https", "a.test", 443))]
    assert world.open_connections == 0
    await trio.testing.wait_all_tasks_blocked()
    (request,) = world.requests
    assert request.startswith(b"GET /b.png?c=d HTTP/1.1\r\nhost: a.test\r\n")
    assert b"authorization" not in request
    assert b"cookie" not in request


@pytest.mark.parametrize(
    ("body", "content_type", "wanted"),
    [
        (PNG, "image/png; charset=binary", "image/png"),
        (JPEG, "image/png", "image/jpeg"),
        (JPEG, "IMAGE/JPG", "image/jpeg"),
        (PNG, "application/octet-stream", "image/png"),
        (PNG, "", "image/png"),
        (b"%PDF-1.7", "application/pdf", "application/pdf"),
    ],
)
async def test_a_file_is_what_its_bytes_are(
    world: World, body: bytes, content_type: str, wanted: str
) -> None:
    world.host("a.test", answer(body, content_type))
    assert await world.fetch("https://a.test/") == Fetched(wanted, body)


async def test_an_address_in_the_url_is_not_looked_up(world: World) -> None:
    world.host(PUBLIC, answer())
    assert (await world.fetch(f"http://{PUBLIC}/")).data == PNG
    assert (world.lookups, world.dialled[0][0]) == ([], PUBLIC)


async def test_the_next_address_is_tried_where_one_does_not_answer(world: World) -> None:
    world.host("a.test", answer(), at=[[OTHER, PUBLIC]])
    world.unreachable = {OTHER}
    assert (await world.fetch("https://a.test/")).data == PNG
    assert [address for address, _ in world.dialled] == [OTHER, PUBLIC]


# --- addresses --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "169.254.169.254",
        "100.100.100.200",
        "192.168.1.1",
        "0.0.0.0",
        "::1",
        "fd00:ec2::254",
        "fe80::1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
    ],
)
async def test_nothing_is_connected_to_but_public_addresses(world: World, address: str) -> None:
    world.host("a.test", answer(), at=[[address]])
    world.host("mixed.test", answer(), at=[[PUBLIC, address]])
    literal = f"[{address}]" if ":" in address else address
    for url in ("https://a.test/", "https://mixed.test/", f"http://{literal}/"):
        assert "public address" in await world.refused(url)
    assert world.dialled == []


async def test_a_name_that_leads_elsewhere_a_moment_later_is_connected_where_it_was_checked(
    world: World,
) -> None:
    world.host("rebind.test", answer(), at=[[PUBLIC], ["127.0.0.1"]])
    assert (await world.fetch("https://rebind.test/")).data == PNG
    assert world.lookups == ["rebind.test"]
    assert [address for address, _ in world.dialled] == [PUBLIC]
    assert "public address" in await world.refused("https://rebind.test/")
    assert len(world.dialled) == 1


async def test_a_redirect_to_the_same_name_is_looked_up_and_checked_again(world: World) -> None:
    world.host("rebind.test", moved("/again"), at=[[PUBLIC], ["169.254.169.254"]])
    assert "public address" in await world.refused("https://rebind.test/")
    assert [address for address, _ in world.dialled] == [PUBLIC]


@pytest.mark.parametrize(
    "url", ["http://2852039166/", "http://127.1/", "http://u:p@a.test/", "http://a.test:22/"]
)
async def test_a_hostile_url_is_refused_before_anything_is_looked_up(
    world: World, url: str
) -> None:
    await world.refused(url)
    assert (world.lookups, world.dialled) == ([], [])


async def test_a_name_that_does_not_exist_is_told(world: World) -> None:
    assert "not found" in await world.refused("https://nowhere.test/")


async def test_a_name_without_addresses_is_refused(world: World) -> None:
    world.host("a.test", answer(), at=[[]])
    await world.refused("https://a.test/")


# --- redirects --------------------------------------------------------------------------------------


async def test_redirects_are_followed_to_the_file(world: World) -> None:
    world.host("a.test", moved("https://b.test/x", 301))
    world.host("b.test", moved("y", 307), answer(), at=[[OTHER]])
    assert (await world.fetch("http://a.test/")).data == PNG
    assert [str(origin) for _, origin in world.dialled] == [
        "http://a.test",
        "https://b.test",
        "https://b.test",
    ]


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:7f00:1]/",
        "//2130706433/",
        "http://b.test/",
        "https://inside.test/",
        "https://b.test:6379/",
        "https://x:y@b.test/",
        "file:///etc/passwd",
        "https://metadata.google.internal/",
    ],
)
async def test_a_redirect_leads_nowhere_that_a_url_may_not(world: World, location: str) -> None:
    world.host("a.test", moved(location))
    world.host("b.test", answer())
    world.host("inside.test", answer(), at=[["10.0.0.7"]])
    await world.refused("https://a.test/")
    assert [origin.host for _, origin in world.dialled] == ["a.test"]


async def test_three_redirects_are_the_most(world: World) -> None:
    world.host("a.test", moved("/1"), moved("/2"), moved("/3"), answer())
    assert (await world.fetch("https://a.test/")).data == PNG
    world.host("b.test", moved("/"))
    assert "3 times" in await world.refused("https://b.test/")


# --- bodies -----------------------------------------------------------------------------------------


async def flood(peer: Peer) -> None:
    await peer.receive_request()
    await peer.send(b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\n\r\n" + PNG)
    while True:
        await peer.send(b"." * 65_536)


async def trickle(peer: Peer) -> None:
    await peer.receive_request()
    await peer.send(b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\n\r\n" + PNG)
    while True:
        await trio.sleep(1)
        await peer.send(b".")


async def trickle_head(peer: Peer) -> None:
    await peer.receive_request()
    await peer.send(b"HTTP/1.1 200 OK\r\nx: ")
    while True:
        await trio.sleep(1)
        await peer.send(b".")


async def say_nothing(peer: Peer) -> None:
    await peer.receive_request()
    await trio.sleep_forever()


async def cut(peer: Peer) -> None:
    await peer.receive_request()
    await peer.send(answer()[:-5])


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (flood, "longer than 1000 bytes"),
        (trickle, "in time"),
        (trickle_head, "in time"),
        (say_nothing, "in time"),
        (cut, "no readable answer"),
        (answering(b"SSH-2.0-OpenSSH_9\r\n"), "no readable answer"),
        (answering(answer(PNG + b"." * 1000)), "longer than 1000 bytes"),
        (answering(answer(b"<html>", "text/html")), "something else"),
        (answering(answer(PNG, "application/json")), "something else"),
        (answering(answer(b"<svg>", "image/svg+xml")), "none of PNG"),
        (answering(answer(b"<html>", "image/png")), "none of PNG"),
        (answering(answer(b"", "image/png")), "none of PNG"),
        (answering(answer(content_encoding="gzip")), "compressed"),
        (answering(answer(status=404)), "status 404"),
        (answering(answer(status=206)), "status 206"),
        (answering(answer(b"", "", 302)), "status 302"),
    ],
)
async def test_an_answer_that_is_no_file_is_refused_with_its_reason(
    autojump_clock: trio.testing.MockClock, make_world: MakeWorld, script: Script, said: str
) -> None:
    world = make_world(max_bytes=1000, seconds=5)
    world.host("a.test", script)
    start = trio.current_time()
    assert said in await world.refused("https://a.test/")
    assert trio.current_time() - start <= 5


async def test_redirects_share_the_time_of_their_url(
    autojump_clock: trio.testing.MockClock, make_world: MakeWorld
) -> None:
    async def slow_redirect(peer: Peer) -> None:
        await peer.receive_request()
        await trio.sleep(3)
        await peer.send(moved("/"))

    world = make_world(seconds=5)
    world.host("a.test", slow_redirect)
    start = trio.current_time()
    assert "in time" in await world.refused("https://a.test/")
    assert trio.current_time() - start == 5


async def test_no_secret_of_a_url_is_told(world: World) -> None:
    world.host("a.test", answer(status=403))
    assert "s3cret" not in await world.refused("https://a.test/s3cret?key=s3cret")


# --- several at once --------------------------------------------------------------------------------


async def test_several_files_are_fetched_side_by_side_but_not_too_many(
    autojump_clock: trio.testing.MockClock,
    make_world: MakeWorld,
) -> None:
    world = make_world(at_a_time=2)
    world.host("a.test", after(1, answer()))
    urls = [f"https://a.test/{number}" for number in range(4)]
    start = trio.current_time()
    found = await world.fetcher.fetch_all([*urls, urls[0]])
    assert list(found) == urls
    assert trio.current_time() - start == 2
    assert (world.most_at_a_time, len(world.dialled)) == (2, 4)
    assert world.open_connections == 0


async def test_the_first_that_cannot_be_fetched_ends_the_others(
    autojump_clock: trio.testing.MockClock, world: World
) -> None:
    world.host("slow.test", after(9, answer()))
    world.host("gone.test", after(1, answer(status=404)))
    start = trio.current_time()
    with pytest.raises(CannotFetch, match="404") as refusal:
        await world.fetcher.fetch_all(["https://slow.test/", "https://gone.test/"])
    assert refusal.value.url == "https://gone.test/"
    assert trio.current_time() - start == 1
    assert world.open_connections == 0


async def test_the_files_of_a_request_are_bounded_together(make_world: MakeWorld) -> None:
    world = make_world(max_total_bytes=len(PNG) + 1, max_urls=2)
    world.host("a.test", answer())
    with pytest.raises(CannotFetch, match="together"):
        await world.fetcher.fetch_all(["https://a.test/1", "https://a.test/2"])
    dialled = len(world.dialled)
    with pytest.raises(CannotFetch, match="no more than 2"):
        await world.fetcher.fetch_all([f"https://a.test/{number}" for number in range(3)])
    assert len(world.dialled) == dialled


async def test_a_fetch_that_is_cancelled_leaves_nothing_open(
    autojump_clock: trio.testing.MockClock, world: World
) -> None:
    world.host("a.test", say_nothing)
    with trio.move_on_after(1) as scope:
        await world.fetcher.fetch_all(["https://a.test/1", "https://a.test/2"])
    assert scope.cancelled_caught
    assert world.open_connections == 0


# --- on real sockets --------------------------------------------------------------------------------


Handler = Callable[[trio.SocketStream], Awaitable[None]]


async def serve_png(stream: trio.SocketStream) -> None:
    async with stream:
        await stream.receive_some()
        await stream.send_all(answer(PNG * 10_000))


async def fetch_from_here(handler: Handler, *, is_allowed: Callable[[Address], bool]) -> Fetched:
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, handler, listeners)
        port = listeners[0].socket.getsockname()[1]
        fetcher = Fetcher(
            connect=PinnedDialer(), limits=FetchLimits(ports={port}), is_allowed=is_allowed
        )
        try:
            return await fetcher.fetch(f"http://127.0.0.1:{port}/")
        finally:
            nursery.cancel_scope.cancel()


async def test_a_file_comes_over_a_real_socket_where_the_loopback_is_allowed() -> None:
    async def resolved() -> Fetched:
        return await fetch_from_here(serve_png, is_allowed=lambda address: address.is_loopback)

    assert await resolved() == Fetched("image/png", PNG * 10_000)


async def test_the_loopback_is_not_allowed_by_itself() -> None:
    with pytest.RaisesGroup(CannotFetch):
        await fetch_from_here(serve_png, is_allowed=address_is_public)
