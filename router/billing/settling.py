"""Settling: the end of a request becomes a line in the journal, before its client hears of it.

The exchange says what each attempt used and who pays for it; here that becomes money. What a prepaid
account owes stays held until the books have taken it and everybody can have read the new balance
(`balances`), so that the same credit is never spent twice. Settlements are booked in the order in which they
were written, so debts need no names: whatever was owed when the notebook was written so far is in the books
when that is booked so far.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final

import trio

from limiter.demand import Debts
from router.accounts.caller import Caller
from router.admission.admitted import Admitted
from router.billing.balances import SETTLED_SECONDS, Balances
from router.billing.notebook import Notebook
from router.billing.prices import PriceList
from router.errors import BooksUnavailable
from router.exchange.books import Bill, Charge, Ending, Whose
from router.ledger.cost import Tokens, cost_of_tokens, possible_tokens
from router.ledger.journal import JournalFull
from router.ledger.money import MOST_NANODOLLARS
from router.ledger.settlement import LONGEST_TEXT, Outcome, Settlement
from router.observe.record import RequestRecord

SWEEP_SECONDS: Final = 0.1
MOST_REMEMBERED: Final = 2000
UNKNOWN: Final = "unknown"
_NOTHING: Final = Tokens()
_ENDED: Final[Mapping[Ending, Outcome]] = {"left": "client_left", "failed": "upstream_failed"}


class Settling:
    """Writes the settlements of one process into its `notebook`; `lost` hears of one that it could not take.

    `take_debts` gives what has become owed since it was last asked, and keeps it held until it is paid.
    """

    def __init__(
        self,
        prices: PriceList,
        notebook: Notebook,
        *,
        lost: Callable[[Settlement], None],
        take_debts: Callable[[], Sequence[Debts]],
        balances: Balances,
        wall_clock: Callable[[], float],
    ) -> None:
        self._prices = prices
        self._notebook = notebook
        self._lost = lost
        self._take_debts = take_debts
        self._balances = balances
        self._wall_clock = wall_clock
        self._unbooked: deque[tuple[int, Sequence[Debts]]] = deque()  # how far that must be booked
        self._booked: deque[tuple[float, Sequence[Debts]]] = deque()  # since when it is

    @property
    def owes(self) -> bool:
        """Whether of what was to be booked anything may not yet be in everybody's balances."""
        return bool(self._unbooked or self._booked)

    def settle(self, caller: Caller, record: RequestRecord, bill: Bill, admitted: Admitted) -> None:
        """Write the settlement down, and end the reservation in any case. Raises `BooksUnavailable`."""
        owed = 0
        try:
            settlement = self._settlement(caller, record, bill)
            try:
                self._notebook.append(settlement)
            except JournalFull as error:
                self._lost(settlement)
                raise BooksUnavailable from error
            owed = settlement.charge_nanodollars
        finally:
            admitted.settle(None if bill.customer is None else bill.customer.usage, owed=owed)

    def settle_late(self, whose: Whose, bill: Bill) -> None:
        """Write down what was found out after a request had been settled: the operator's, all of it.

        Raises nothing: there is nobody to tell but `lost`.
        """
        main = bill.charges[0]
        settlement = Settlement(
            request_id=f"{whose.request_id}:drained{bill.place}",
            account_id=whose.account_id,
            key_id=whose.key_id,
            model=_known_name(main.model),
            provider=_known_name(main.provider),
            at=self._wall_clock(),
            tokens=_NOTHING,
            charge_nanodollars=0,
            operator_nanodollars=self._operator(bill),
            outcome="completed",
            duration=0.0,
            billed=False,
            requests=0,
        )
        try:
            self._notebook.append(settlement)
        except JournalFull:
            self._lost(settlement)

    def booking(self) -> None:
        """Hear that what is written by now is booked next: what is owed by now is owed for that."""
        debts = self._take_debts()
        if debts:
            self._unbooked.append((self._notebook.written, debts))

    def booked(self, position: int) -> None:
        """Hear how far the notebook is in the books now."""
        while self._unbooked and self._unbooked[0][0] <= position:
            self._booked.append((self._balances.clock(), self._unbooked.popleft()[1]))

    async def run(self) -> None:
        """Free what was booked long enough ago, until cancelled."""
        while True:
            self.sweep()
            await trio.sleep(SWEEP_SECONDS)

    def sweep(self) -> None:
        """Free the debts that are in everybody's balances by now.

        The database must have answered since: while it is away, nobody can have read the new balance.
        """
        known_until = self._balances.read_at - SETTLED_SECONDS
        while self._booked and self._booked[0][0] < known_until:
            for debts in self._booked.popleft()[1]:
                debts.paid()

    def _settlement(self, caller: Caller, record: RequestRecord, bill: Bill) -> Settlement:
        paid, charges = bill.customer, bill.charges
        main = paid or (charges[0] if charges else None)
        tokens, charged = _NOTHING, 0
        if paid is not None:
            tokens = possible_tokens(paid.usage)
            tariff = self._prices.of(paid.provider, paid.upstream_model)
            if tariff is not None:
                charged = min(cost_of_tokens(tariff.sale, tokens), MOST_NANODOLLARS)
        return Settlement(
            request_id=record.request_id,
            account_id=caller.account.id,
            key_id=caller.key.id,
            model=_known_name(main.model) if main is not None else _name(record.model),
            provider=_known_name(main.provider) if main is not None else UNKNOWN,
            at=self._wall_clock(),
            tokens=tokens,
            charge_nanodollars=charged,
            operator_nanodollars=0 if len(charges) == 1 and paid else self._operator(bill),
            outcome=_ENDED.get(bill.ending) or ("rescued" if record.rescuer else "completed"),
            duration=max(0.0, trio.current_time() - record.started),
            first_token=record.first_token_seconds,
            estimated=paid is not None and paid.usage.estimated,
            billed=caller.account.prepaid,
        )

    def _operator(self, bill: Bill) -> int:
        """Return what the operator bears: the provider's price."""
        spent = sum(self._expense(charge) for charge in bill.charges if charge.payer == "operator")
        return min(spent, MOST_NANODOLLARS)

    def _expense(self, charge: Charge) -> int:
        tariff = self._prices.of(charge.provider, charge.upstream_model)
        if tariff is None:
            return 0
        return cost_of_tokens(tariff.cost, possible_tokens(charge.usage))


def _name(text: str | None) -> str:
    """Return a name in a form that can be booked, for it may be a client's or a provider's."""
    if text and len(text) <= LONGEST_TEXT and text.isprintable():
        return text
    return "".join(filter(str.isprintable, text or ""))[:LONGEST_TEXT] or UNKNOWN


# Those of models and providers come again and again; a client's own text is not worth the room.
_known_name: Final = lru_cache(MOST_REMEMBERED)(_name)
