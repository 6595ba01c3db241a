"""What the limits mean, written as plainly as can be: a list of everything that was ever taken.

The engine under test keeps sums in cells that it overwrites. This keeps each reservation by itself with the
time it was made, and adds up what counts whenever it is asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from limiter.demand import Demand


@dataclass(eq=False)
class Entry:
    """One taking from one subject's windows. It counts until its whole bucket is a window ago."""

    subject: str
    time: float
    bucket_seconds: float
    requests: int
    tokens: int
    admitted: bool = True  # else a debt: used beyond what was reserved

    def counts(self, now: float) -> bool:
        return now // self.bucket_seconds <= self.time // self.bucket_seconds + 60


@dataclass(eq=False)
class Call:
    """A reservation that has not ended, as the worker `owner` made it; without entries it is no call."""

    owner: object
    demands: Sequence[Demand]
    credit: int
    entries: list[Entry]


@dataclass(eq=False)
class Debt:
    """What a settled call of the worker `owner` owes, held of these subjects' credit until it is paid."""

    owner: object
    subjects: set[str]
    amount: int


@dataclass
class Oracle:
    """Everything that was taken, and the calls that run."""

    bucket_seconds: float = 1.0
    entries: list[Entry] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    debts: list[Debt] = field(default_factory=list)

    def used(self, subject: str, now: float) -> tuple[int, int]:
        mine = [entry for entry in self.entries if entry.subject == subject and entry.counts(now)]
        return sum(entry.requests for entry in mine), sum(entry.tokens for entry in mine)

    def running(self, subject: str) -> tuple[int, int]:
        mine = [
            (call, demand)
            for call in self.calls
            for demand in call.demands
            if demand.subject == subject
        ]
        held = [0 if demand.credit is None else call.credit for call, demand in mine]
        owed = [debt.amount for debt in self.debts if subject in debt.subjects]
        return sum(bool(call.entries) for call, _ in mine), sum(held) + sum(owed)

    def obstacles(
        self,
        demands: Sequence[Demand],
        tokens: int,
        credit: int,
        now: float,
        *,
        calls: int = 1,
    ) -> dict[tuple[str, str], int]:
        """(subject, kind) of each limit in the way -> what is used of it."""
        found: dict[tuple[str, str], int] = {}
        for demand in demands:
            requests_used, tokens_used = self.used(demand.subject, now)
            in_flight, held = self.running(demand.subject)
            limits = demand.limits
            for kind, limit, used, asked in (
                ("requests", limits.requests, requests_used, calls),
                ("tokens", limits.tokens, tokens_used, tokens),
                ("concurrency", limits.concurrency, in_flight, calls),
                ("credit", demand.credit, held, credit),
            ):
                if limit is not None and used + asked > limit:
                    found[demand.subject, kind] = used
        return found

    def take(
        self, owner: object, demands: Sequence[Demand], *, tokens: int, credit: int, now: float
    ) -> Call:
        entries = [Entry(demand.subject, now, self.bucket_seconds, 1, tokens) for demand in demands]
        call = Call(owner, demands, credit, entries)
        self.entries += entries
        self.calls.append(call)
        return call

    def hold(self, owner: object, demands: Sequence[Demand], *, credit: int) -> Call:
        """Hold credit and nothing else; `release` ends it."""
        self.calls.append(Call(owner, demands, credit, []))
        return self.calls[-1]

    def settle(self, call: Call, *, tokens: int, now: float, owed: int = 0) -> Debt:
        """End a call. What it owes stays held until `pay`."""
        self.calls.remove(call)
        subjects = {demand.subject for demand in call.demands if demand.credit is not None}
        unpaid = Debt(call.owner, subjects, owed)
        self.debts.append(unpaid)
        for entry in call.entries:
            surplus = tokens - entry.tokens
            if surplus > 0:
                debt = Entry(entry.subject, now, self.bucket_seconds, 0, surplus, admitted=False)
                self.entries.append(debt)
            else:
                entry.tokens = tokens
        return unpaid

    def pay(self, debt: Debt) -> None:
        self.debts = [other for other in self.debts if other is not debt]

    def release(self, call: Call) -> None:
        self.calls.remove(call)
        for entry in call.entries:
            entry.requests = entry.tokens = 0

    def write_off(self, owner: object) -> None:
        """The worker is gone: its calls run and its debts hold no more, and what they took stays taken."""
        self.calls = [call for call in self.calls if call.owner is not owner]
        self.debts = [debt for debt in self.debts if debt.owner is not owner]

    def in_true_window(self, subject: str, now: float) -> tuple[int, int]:
        """What was taken in the 60 s (or buckets) that end now, to the moment."""
        start = now - 60 * self.bucket_seconds
        mine = [entry for entry in self.entries if entry.subject == subject and entry.time >= start]
        return sum(entry.requests for entry in mine), sum(entry.tokens for entry in mine)
