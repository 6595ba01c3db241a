"""Whose certificates are believed, and that they are read once."""

import ssl

import trio

from router.upstream.trust import Trust


async def test_many_who_ask_at_once_have_them_read_once() -> None:
    trust = Trust()
    got: list[ssl.SSLContext] = []

    async def ask() -> None:
        got.append(await trust.context())

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(ask)
    assert len(got) == 3
    assert all(one is got[0] for one in got)
    assert await trust.context() is got[0]


async def test_those_of_the_system_are_verified_against_and_allow_no_renegotiation() -> None:
    context = await Trust().context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.options & ssl.OP_NO_RENEGOTIATION


async def test_those_that_are_given_are_believed_and_no_others() -> None:
    given = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    assert await Trust(given).context() is given
    assert given.options & ssl.OP_NO_RENEGOTIATION
