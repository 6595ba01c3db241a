"""Whose credit is read: those who call, from when they call, until they have not called for long."""

from collections.abc import Awaitable, Callable, Sequence

import pytest
import trio
import trio.testing

from router.billing.balances import (
    FORGOTTEN_SECONDS,
    READ_SECONDS,
    Balances,
    watch_balances,
)


class Books:
    """A source that counts what it is asked for, and may be away."""

    def __init__(self) -> None:
        self.credit_of = {"acc_a": 7, "acc_b": 8, "acc_c": 9}
        self.asked: list[tuple[list[str], list[str]]] = []
        self.is_away = False

    def credit(
        self, accounts: Sequence[str], keys: Sequence[str]
    ) -> tuple[dict[str, int], dict[str, int]]:
        self.asked.append((list(accounts), list(keys)))
        if self.is_away:
            raise ConnectionError
        return {a: self.credit_of[a] for a in accounts if a in self.credit_of}, {}


async def read_now(balances: Balances, books: Books) -> None:
    """Read once, as the watch does, but in this task."""
    now = trio.current_time()
    wanted = balances.wanted(now)
    balances.replace(wanted, *books.credit(*wanted), read_at=now)


def known(balances: Balances, account: str | None, key: str | None = None) -> bool:
    return balances.look_up(account=account, key=key) is not None


async def test_only_who_has_called_is_read_and_who_was_never_paid_into_has_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    balances, books = Balances(outage_seconds=60), Books()
    await read_now(balances, books)
    assert not known(balances, "acc_a", "key_a")
    assert not known(balances, "acc_new")
    await read_now(balances, books)
    assert known(balances, "acc_a", "key_a")
    assert known(balances, "acc_new")
    assert balances.look_up(account="acc_a", key="key_a") == (7, 0)
    assert balances.look_up(account="acc_new", key=None) == (0, 0)
    assert not known(balances, "acc_b", "key_a")
    assert not known(balances, "acc_a", "key_b")
    assert books.asked == [([], []), (["acc_a", "acc_new"], ["key_a"])]


async def test_who_has_not_called_for_long_is_not_read_any_more(
    autojump_clock: trio.testing.MockClock,
) -> None:
    balances, books = Balances(outage_seconds=60), Books()
    known(balances, "acc_a")
    await trio.sleep(FORGOTTEN_SECONDS - 1)
    known(balances, "acc_b")
    await trio.sleep(2)
    await read_now(balances, books)
    assert books.asked == [(["acc_b"], [])]
    assert not known(balances, "acc_a")


async def test_who_calls_first_is_read_at_once_and_waits_for_it() -> None:
    balances, books = Balances(outage_seconds=60), Books()
    async with trio.open_nursery() as nursery:
        await nursery.start(watch(balances, books))
        before = trio.current_time()
        with trio.fail_after(10):
            for account in ("acc_a", "acc_b"):
                assert await balances.until_known(account=account, key=None)
        assert balances.look_up(account="acc_b", key=None) == (8, 0)
        assert len(books.asked) <= 3 + (trio.current_time() - before) / READ_SECONDS
        nursery.cancel_scope.cancel()


async def test_while_the_database_is_away_who_is_known_is_sold_to_and_nobody_else() -> None:
    balances, books = Balances(outage_seconds=60), Books()
    async with trio.open_nursery() as nursery:
        await nursery.start(watch(balances, books))
        with trio.fail_after(10):
            assert await balances.until_known(account="acc_a", key=None)
            books.is_away = True
            assert not await balances.until_known(account="acc_b", key=None)
            assert await balances.until_known(account="acc_a", key=None)
            books.is_away = False
            while not await balances.until_known(account="acc_b", key=None):
                await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("account", ["acc_a", "acc_unknown"])
async def test_somebody_known_keeps_nobody_from_being_read(account: str) -> None:
    balances, books = Balances(outage_seconds=60), Books()
    known(balances, account)
    await read_now(balances, books)
    with trio.move_on_after(0) as waited:
        await balances.until_due()
    assert waited.cancelled_caught
    known(balances, "acc_c")
    with trio.fail_after(0.1):
        await balances.until_due()


def watch(balances: Balances, books: Books) -> Callable[..., Awaitable[None]]:
    async def run(*, task_status: trio.TaskStatus[None]) -> None:
        await watch_balances(books, balances, on_error=lambda _: None, task_status=task_status)

    return run
