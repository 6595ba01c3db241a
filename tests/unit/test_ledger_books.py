"""The books, on both databases: what is booked once, what is refused, and that they can be proved."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import TypeVar

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import delete, event, insert, select, text, update

import router.accounts.partial_index  # noqa: F401 - an index of `metadata`
from router.accounts.database import Database
from router.accounts.errors import StoreError, UnknownAccount
from router.accounts.schema import metadata
from router.ledger.book import Book
from router.ledger.cost import Tokens
from router.ledger.entry import CODES, LOSSES, PROVIDERS, REVENUE, Draft
from router.ledger.errors import (
    CodeExpired,
    CodeUnknown,
    CodeUsed,
    KeyReused,
    LedgerError,
    Overdraw,
)
from router.ledger.money import MOST_NANODOLLARS
from router.ledger.redeem import RedeemCodes, digest_of
from router.ledger.schema import balances, ledger_entries, redeem_codes, settlements
from router.ledger.store import SettlementStore
from router.ledger.usage import Figures, Scope, usage_report
from tests.ledger_world import SYSTEMS, batch, new_account, open_books, settlement

T = TypeVar("T")
THREADS = 8


@pytest.fixture(params=SYSTEMS, scope="module")
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """One database for the tests that have an account of their own in it."""
    with open_books(request.param, request, tmp_path_factory.mktemp("books")) as database:
        yield database


@pytest.fixture(params=SYSTEMS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database for the tests that look at all of it."""
    with open_books(request.param, request, tmp_path) as opened:
        yield opened


@pytest.fixture
def book(shared: Database) -> Book:
    return Book(shared, wall_clock=lambda: 1000.0)


@pytest.fixture
def account(shared: Database) -> str:
    return new_account(shared)


def at_once(work: Callable[[int], T]) -> list[T | Exception]:
    """What some threads get that all begin at the same moment."""
    start = Barrier(THREADS)

    def run(number: int) -> T | Exception:
        start.wait(10)
        try:
            return work(number)
        except LedgerError as error:
            return error

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


# The layout


def test_the_tables_are_those_that_the_migrations_make(database: Database) -> None:
    with database.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


@pytest.mark.parametrize(
    "change",
    [update(ledger_entries).values(amount=5), delete(ledger_entries)],
    ids=["update", "delete"],
)
def test_i3_the_database_itself_refuses_to_change_an_entry(
    shared: Database, book: Book, account: str, change: object
) -> None:
    book.top_up(account, 100, key=f"first:{account}")
    with pytest.raises(StoreError, match="never changed"), shared.writing() as connection:
        connection.execute(change)  # type: ignore[call-overload]
    assert book.balance(account) == 100


def test_i3_the_database_itself_refuses_a_balance_below_zero(
    shared: Database, book: Book, account: str
) -> None:
    book.top_up(account, 100, key=f"first:{account}")
    below = update(balances).where(balances.c.account == account).values(amount=-1)
    with pytest.raises(StoreError), shared.writing() as connection:
        connection.execute(below)
    assert book.balance(account) == 100


# Postings


def test_credit_is_the_sum_of_what_was_booked(book: Book, account: str) -> None:
    book.top_up(account, 500, key=f"a:{account}", reference="invoice 7")
    book.refund(account, 30, key=f"b:{account}", reference="req_1")
    entry = book.adjust(account, -130, key=f"c:{account}")
    assert book.balance(account) == 400
    assert book.balances()[account] == 400
    assert (entry.amount, entry.kind, entry.created_at) == (-130, "adjustment", 1000.0)
    assert [(one.kind, one.amount) for one in book.history(account)] == [
        ("adjustment", -130),
        ("refund", 30),
        ("top_up", 500),
    ]
    newest, *_ = book.history(account, limit=1)
    assert [one.kind for one in book.history(account, before=newest.id)] == ["refund", "top_up"]


def test_an_account_that_nobody_booked_on_has_nothing(book: Book, account: str) -> None:
    assert book.balance(account) == 0
    assert book.history(account) == []


def test_what_is_said_twice_counts_once(book: Book, account: str) -> None:
    first = book.top_up(account, 500, key=f"a:{account}")
    assert book.top_up(account, 500, key=f"a:{account}") == first
    assert book.balance(account) == 500


def test_a_key_never_stands_for_two_things(shared: Database, book: Book, account: str) -> None:
    key = f"a:{account}"
    book.top_up(account, 500, key=key)
    with pytest.raises(KeyReused):
        book.top_up(account, 501, key=key)
    with pytest.raises(KeyReused):
        book.refund(account, 500, key=key)
    with pytest.raises(KeyReused):
        book.top_up(new_account(shared), 500, key=key)
    assert book.balance(account) == 500


def test_i3_nothing_takes_more_than_there_is(book: Book, account: str) -> None:
    book.top_up(account, 100, key=f"a:{account}")
    with pytest.raises(Overdraw) as caught:
        book.adjust(account, -101, key=f"b:{account}")
    assert (caught.value.balance, caught.value.asked) == (100, 101)
    assert book.balance(account) == 100
    book.adjust(account, -100, key=f"b:{account}")
    assert book.balance(account) == 0


@pytest.mark.parametrize("amount", [0, -1, MOST_NANODOLLARS + 1])
def test_an_amount_that_cannot_be_is_refused(book: Book, account: str, amount: int) -> None:
    with pytest.raises(ValueError, match="amount"):
        book.top_up(account, amount, key=f"a:{account}")


def test_money_for_nobody_is_refused(book: Book) -> None:
    with pytest.raises(UnknownAccount):
        book.top_up("acc_nobody", 100, key="a")


def test_an_account_cannot_owe_itself() -> None:
    with pytest.raises(ValueError, match="owe itself"):
        Draft(key="a", account="acc_1", counter_account="acc_1", amount=1, kind="adjustment")


def test_the_same_top_up_from_many_sides_counts_once(book: Book, account: str) -> None:
    found = at_once(lambda _: book.top_up(account, 100, key=f"same:{account}"))
    assert len({repr(one) for one in found}) == 1
    assert book.balance(account) == 100


def test_top_ups_at_once_all_count(book: Book, account: str) -> None:
    at_once(lambda number: book.top_up(account, 10**number, key=f"{number}:{account}"))
    assert book.balance(account) == int("1" * THREADS)


def test_i3_takers_at_once_never_take_more_than_there_is(book: Book, account: str) -> None:
    book.top_up(account, 300, key=f"a:{account}")
    found = at_once(lambda number: book.adjust(account, -100, key=f"{number}:{account}"))
    assert sum(isinstance(one, Overdraw) for one in found) == THREADS - 3
    assert book.balance(account) == 0


# Settlements


def test_a_charge_and_the_operators_cost_are_booked(database: Database) -> None:
    book, account = Book(database), new_account(database)
    book.top_up(account, 5000, key="a")
    one = settlement(account_id=account, charge_nanodollars=1200, operator_nanodollars=70)
    stored = SettlementStore(database).apply(batch(one))
    assert stored.position == 100
    assert stored.balances[account] == 3800
    (charge, _) = book.history(account)
    assert (charge.kind, charge.amount, charge.counter_account) == ("charge", -1200, REVENUE)
    assert (charge.reference, charge.model) == (one.request_id, "openai/gpt-4o")
    operator = book.operator_balances()
    assert (operator[REVENUE], operator[PROVIDERS]) == (1200, 70)
    assert book.verify().sound


def test_a_batch_that_comes_again_doubles_nothing(database: Database) -> None:
    book, account, store = Book(database), new_account(database), SettlementStore(database)
    book.top_up(account, 10_000, key="a")
    settled = [settlement(account_id=account) for _ in range(4)]
    store.apply(batch(*settled[:2]))
    for _ in range(2):
        assert store.apply(batch(*settled)).position == 400
    # From another file, as after the folder was copied: the request ids are known.
    store.apply(batch(*settled, file_id="copy"))
    assert book.balance(account) == 10_000 - 4 * 1000
    with database.reading() as connection:
        assert usage_report(connection, Scope())[0].requests == 4
    assert store.position("file") == 400
    store.forget("file")
    assert store.position("file") == 0


def test_only_a_batch_that_was_booked_in_part_is_looked_for(database: Database) -> None:
    store = SettlementStore(database)
    settled = [settlement(billed=False) for _ in range(120)]
    asked: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if "SELECT request_id" in statement:
            asked.append(statement)

    with database.writing() as connection:
        engine = connection.engine
    event.listen(engine, "before_cursor_execute", note)
    store.apply(batch(*settled[:100]))
    assert asked == []
    store.apply(batch(*settled[90:], settled[95], file_id="copy"))
    assert len(asked) == 1
    with database.reading() as connection:
        assert usage_report(connection, Scope())[0].requests == 120


def test_the_position_alone_keeps_a_batch_from_being_booked_twice(database: Database) -> None:
    store = SettlementStore(database)
    settled = [settlement(billed=False) for _ in range(3)]
    store.apply(batch(*settled[:2]))
    store.forget_settlements(before_at=2e9)
    store.apply(batch(*settled))
    with database.reading() as connection:
        assert usage_report(connection, Scope())[0].requests == 3


def test_a_batch_with_a_gap_before_it_is_sent_back(database: Database) -> None:
    store = SettlementStore(database)
    assert store.apply(batch(settlement(), start=500)).position == 0
    with database.reading() as connection:
        assert usage_report(connection, Scope())[0].requests == 0


def test_i3_a_charge_beyond_the_credit_is_the_operators_loss(database: Database) -> None:
    book, account, store = Book(database), new_account(database), SettlementStore(database)
    book.top_up(account, 1500, key="a")
    store.apply(batch(*(settlement(account_id=account) for _ in range(3))))
    assert book.balance(account) == 0
    assert book.operator_balances()[LOSSES] == -1500
    proof = book.verify()
    assert (proof.sound, proof.charged, proof.used) == (True, 1500, 1500)
    with database.reading() as connection:
        kept = connection.execute(select(settlements.c.charged_nanodollars)).scalars().all()
    assert sorted(kept) == [0, 500, 1000]


def test_an_account_that_is_not_prepaid_is_counted_and_not_booked(database: Database) -> None:
    SettlementStore(database).apply(batch(settlement(billed=False)))
    book = Book(database)
    assert book.history("acc_default") == []
    with database.reading() as connection:
        (row,) = usage_report(connection, Scope())
    assert (row.cost_nanodollars, row.charged_nanodollars) == (1000, 0)


def test_batches_of_many_workers_at_once_are_all_booked(database: Database) -> None:
    book = Book(database)
    names = [new_account(database) for _ in range(3)]
    for name in names:
        book.top_up(name, 10_000_000, key=name)
    store = SettlementStore(database)

    def work(number: int) -> int:
        order = names if number % 2 else names[::-1]
        for turn in range(3):
            settled = [settlement(account_id=name, operator_nanodollars=7) for name in order * 3]
            store.apply(batch(*settled, start=turn * 900, file_id=f"worker-{number}"))
        return store.position(f"worker-{number}")

    assert at_once(work) == [2700] * THREADS
    assert {book.balance(name) for name in names} == {10_000_000 - THREADS * 9 * 1000}
    assert book.verify().sound


def test_records_are_forgotten_by_their_age_and_the_books_are_not(database: Database) -> None:
    store = SettlementStore(database)
    store.apply(batch(settlement(at=10.0), settlement(at=20.0)))
    assert store.forget_settlements(before_at=20.0) == 1
    with database.reading() as connection:
        assert connection.execute(select(settlements.c.at)).scalars().all() == [20.0]
        assert usage_report(connection, Scope())[0].requests == 2


# Usage


def test_usage_is_summed_by_day_account_key_and_model(database: Database) -> None:
    day = 86_400.0
    settled = (
        settlement(at=0.5, key_id="key_1", billed=False),
        settlement(at=day - 0.5, key_id="key_1", billed=False, estimated=True),
        settlement(at=day, key_id="key_2", billed=False, first_token=None),
        settlement(at=day, key_id="key_2", model="m", billed=False, outcome="upstream_failed"),
    )
    SettlementStore(database).apply(batch(*settled))
    with database.reading() as connection:
        days = usage_report(connection, Scope(), by=["day"])
        models = usage_report(connection, Scope(key_id="key_2"), by=["model"])
        second = usage_report(connection, Scope(since="1970-01-02", until="1970-01-02"))
        nothing = usage_report(connection, Scope(account_id="acc_other"))
    assert [(row.day, row.requests) for row in days] == [("1970-01-01", 2), ("1970-01-02", 2)]
    first = days[0]
    assert (first.input_tokens, first.cached_tokens, first.output_tokens) == (20, 8, 12)
    assert (first.reasoning_tokens, first.estimated, first.errors) == (2, 1, 0)
    assert (first.duration_seconds, first.first_tokens, first.first_token_seconds) == (1.0, 2, 0.5)
    assert [(row.model, row.errors, row.first_tokens) for row in models] == [
        ("m", 1, 1),
        ("openai/gpt-4o", 0, 0),
    ]
    assert (second[0].requests, second[0].day) == (2, None)
    assert all(getattr(nothing[0], name) == 0 for name in Figures.__struct_fields__)


def test_usage_grows_with_every_batch(database: Database) -> None:
    store = SettlementStore(database)
    store.apply(batch(settlement(billed=False)))
    store.apply(batch(settlement(billed=False, tokens=Tokens(cache_write=0)), file_id="other"))
    with database.reading() as connection:
        (row,) = usage_report(connection, Scope(), by=["day", "account_id", "key_id", "model"])
    assert (row.requests, row.input_tokens, row.cost_nanodollars) == (2, 10, 2000)


# The proof


def test_empty_books_are_sound(database: Database) -> None:
    proof = Book(database).verify()
    assert (proof.sound, proof.entries, proof.accounts) == (True, 0, 0)


@pytest.mark.parametrize("account", ["acc_default", REVENUE])
def test_i3_the_proof_finds_a_balance_that_is_not_the_sum_of_its_entries(
    database: Database, account: str
) -> None:
    book = Book(database)
    book.top_up("acc_default", 5000, key="a")
    SettlementStore(database).apply(batch(settlement()))
    more = update(balances).where(balances.c.account == account)
    with database.writing() as connection:
        connection.execute(more.values(amount=balances.c.amount + 1))
    proof = book.verify()
    assert not proof.sound
    assert [wrong.account for wrong in proof.wrong] == [account]
    assert proof.wrong[0].balance == proof.wrong[0].booked + 1
    assert proof.imbalance == 1


def test_i3_the_proof_finds_an_entry_that_no_balance_knows(database: Database) -> None:
    book = Book(database)
    book.top_up("acc_default", 5000, key="a")
    row = {"key": "b", "account": "acc_x", "counter_account": REVENUE, "amount": -5}
    row |= {"kind": "charge", "reference": "", "created_at": 0.0}
    with database.writing() as connection:
        connection.execute(insert(ledger_entries).values(row))
    proof = book.verify()
    assert {wrong.account for wrong in proof.wrong} == {"acc_x", REVENUE}
    assert (proof.charged, proof.used) == (5, 0)


def test_i3_the_proof_finds_use_that_nobody_was_charged_for(database: Database) -> None:
    book = Book(database)
    book.top_up("acc_default", 5000, key="a")
    SettlementStore(database).apply(batch(settlement()))
    with database.writing() as connection:
        connection.execute(text("UPDATE usage_days SET charged_nanodollars = 999"))
    proof = book.verify()
    assert (proof.sound, proof.wrong, proof.charged, proof.used) == (False, (), 1000, 999)


# Redeem codes


def test_a_code_becomes_credit_once(shared: Database, book: Book, account: str) -> None:
    codes = RedeemCodes(shared, wall_clock=lambda: 5.0)
    code, written = codes.create(700, expires_at=10.0)
    entry = codes.redeem(written.lower().replace("-", " "), account)
    assert (entry.amount, entry.kind, entry.counter_account) == (700, "top_up", CODES)
    assert codes.redeem(written, account) == entry
    assert book.balance(account) == 700
    with pytest.raises(CodeUsed):
        codes.redeem(written, new_account(shared))
    (listed,) = [one for one in codes.list_codes() if one.id == code.id]
    assert (listed.redeemed_by, listed.redeemed_at) == (account, 5.0)


def test_a_code_has_its_time(shared: Database, book: Book, account: str) -> None:
    now_at = 9.9
    codes = RedeemCodes(shared, wall_clock=lambda: now_at)
    _, first = codes.create(700, expires_at=10.0)
    _, second = codes.create(700, expires_at=10.0)
    codes.redeem(first, account)
    now_at = 10.0
    with pytest.raises(CodeExpired):
        codes.redeem(second, account)
    # What was redeemed in time stays so, however late it is asked again.
    assert codes.redeem(first, account).amount == 700
    assert book.balance(account) == 700


@pytest.mark.parametrize("written", ["", "nonsense", "A" * 20, "x" * 100_000, "\ud800", "\x00"])
def test_a_text_that_is_no_code_is_refused(shared: Database, account: str, written: str) -> None:
    with pytest.raises(CodeUnknown):
        RedeemCodes(shared).redeem(written, account)


def test_a_code_for_nobody_stays_unused(shared: Database, book: Book, account: str) -> None:
    codes = RedeemCodes(shared)
    _, written = codes.create(700)
    with pytest.raises(UnknownAccount):
        codes.redeem(written, "acc_nobody")
    assert codes.redeem(written, account).amount == 700


def test_i12_a_code_is_kept_as_its_digest(shared: Database) -> None:
    _, written = RedeemCodes(shared).create(700)
    with shared.reading() as connection:
        rows = [row._asdict() for row in connection.execute(select(redeem_codes))]
    assert digest_of(written) in [bytes(row["digest"]) for row in rows]
    assert written.replace("-", "") not in repr(rows).replace("-", "")


def test_of_many_who_redeem_a_code_at_once_one_has_it(shared: Database, book: Book) -> None:
    codes = RedeemCodes(shared)
    _, written = codes.create(700)
    names = [new_account(shared) for _ in range(THREADS)]
    found = at_once(lambda number: codes.redeem(written, names[number]))
    assert sum(isinstance(one, CodeUsed) for one in found) == THREADS - 1
    assert sorted(book.balance(name) for name in names) == [0] * (THREADS - 1) + [700]
