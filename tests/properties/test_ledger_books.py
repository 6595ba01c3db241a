"""Invariant I3 over random histories: the books against a dictionary that does the same sums.

Whatever is paid in, charged, given back, taken, redeemed and said again, in whatever order: every balance
is what the dictionary says, none is below zero, and the proof holds after every step.
"""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from router.accounts.database import Database, open_database
from router.ledger.book import Book
from router.ledger.entry import LOSSES
from router.ledger.errors import CodeUsed, Overdraw
from router.ledger.redeem import RedeemCodes
from router.ledger.settlement import Settlement
from router.ledger.store import Batch, SettlementStore
from tests.conftest import SIZE
from tests.ledger_world import SYSTEMS, new_account, settlement

amounts = st.integers(1, 5000)
sides = st.integers(0, 2)
costs = st.tuples(sides, st.integers(0, 3000), st.integers(0, 100))


class History(RuleBasedStateMachine):
    database: Database

    said: Bundle[Any] = Bundle("said")
    batches: Bundle[Batch] = Bundle("batches")
    codes: Bundle[Any] = Bundle("codes")

    @initialize()
    def begin(self) -> None:
        # One database for all histories, and accounts of its own for each.
        self.accounts = [new_account(self.database) for _ in range(3)]
        self.book = Book(self.database)
        self.store = SettlementStore(self.database)
        self.redeem = RedeemCodes(self.database)
        self.expected = dict.fromkeys(self.accounts, 0)
        self.losses_before = self.book.operator_balances().get(LOSSES, 0)
        self.lost = 0
        self.booked: set[str] = set()
        self.redeemed: dict[str, str] = {}
        self.number = 0

    def key(self) -> str:
        self.number += 1
        return f"{self.accounts[0]}:{self.number}"

    @rule(target=said, side=sides, amount=amounts)
    def top_up(self, side: int, amount: int) -> Any:
        key, account = self.key(), self.accounts[side]
        self.book.top_up(account, amount, key=key)
        self.expected[account] += amount
        return self.book.top_up, account, amount, key

    @rule(target=said, side=sides, amount=amounts)
    def refund(self, side: int, amount: int) -> Any:
        key, account = self.key(), self.accounts[side]
        self.book.refund(account, amount, key=key)
        self.expected[account] += amount
        return self.book.refund, account, amount, key

    @rule(target=said, side=sides, amount=amounts)
    def take(self, side: int, amount: int) -> Any:
        key, account = self.key(), self.accounts[side]
        if self.expected[account] < amount:
            with pytest.raises(Overdraw):
                self.book.adjust(account, -amount, key=key)
            return multiple()
        self.book.adjust(account, -amount, key=key)
        self.expected[account] -= amount
        return self.book.adjust, account, -amount, key

    @rule(again=said)
    def say_it_again(self, again: Any) -> None:
        post, account, amount, key = again
        post(account, amount, key=key)

    @rule(target=batches, many=st.lists(costs, min_size=1, max_size=5))
    def charge(self, many: list[tuple[int, int, int]]) -> Batch:
        settled = [
            settlement(
                account_id=self.accounts[side], charge_nanodollars=charge, operator_nanodollars=own
            )
            for side, charge, own in many
        ]
        brought = Batch(self.key(), 0, len(settled), list(enumerate(settled, 1)))
        self.bring(brought)
        return brought

    @rule(batch=batches)
    def bring_again(self, batch: Batch) -> None:
        self.bring(batch)

    @rule(one=batches, other=batches)
    def bring_in_another_file(self, one: Batch, other: Batch) -> None:
        records = [record for _, record in (*one.records, *other.records)]
        self.bring(Batch(self.key(), 0, len(records), list(enumerate(records, 1))))

    def bring(self, batch: Batch) -> None:
        assert self.store.apply(batch).position == batch.end
        for _, one in batch.records:
            self.charge_once(one)

    def charge_once(self, one: Settlement) -> None:
        if one.request_id not in self.booked:
            self.booked.add(one.request_id)
            charged = min(one.charge_nanodollars, self.expected[one.account_id])
            self.expected[one.account_id] -= charged
            self.lost += one.charge_nanodollars - charged

    @rule(target=codes, amount=amounts)
    def make_code(self, amount: int) -> Any:
        return self.redeem.create(amount)

    @rule(code=codes, side=sides)
    def redeem_code(self, code: Any, side: int) -> None:
        (record, text), account = code, self.accounts[side]
        owner = self.redeemed.setdefault(record.id, account)
        if owner != account:
            with pytest.raises(CodeUsed):
                self.redeem.redeem(text, account)
            return
        self.redeem.redeem(text, account)
        if record.id not in self.booked:
            self.booked.add(record.id)
            self.expected[account] += record.amount

    @invariant()
    def balances_are_what_was_booked(self) -> None:
        if hasattr(self, "expected"):
            found = self.book.balances()
            assert {name: found.get(name, 0) for name in self.accounts} == self.expected
            assert min(found.values(), default=0) >= 0

    @invariant()
    def the_proof_holds(self) -> None:
        if hasattr(self, "expected"):
            assert self.book.verify().sound
            losses = self.book.operator_balances().get(LOSSES, 0)
            assert losses == self.losses_before - self.lost


@pytest.mark.parametrize("system", SYSTEMS)
def test_i3_balances_are_the_sum_of_the_entries_whatever_happens(
    system: str, request: pytest.FixtureRequest
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        location: str | Path = Path(folder) / "books.db"
        if system == "postgresql":
            location = request.getfixturevalue("postgres_server").new_database()
        with open_database(location) as database:
            machine = type("History", (History,), {"database": database})
            run_state_machine_as_test(
                machine,
                settings=settings(max_examples=15 * SIZE, stateful_step_count=15, deadline=None),
            )
