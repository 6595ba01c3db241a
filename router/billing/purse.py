"""The purse: whether a caller's credit lets a request start, and with how much of it.

Only prepaid accounts and keys with a budget have one; for everybody else use is counted and priced, and
nothing is held. What an account has is what the books say (`balances`); how much of that is held at the
moment is the limiter's to say, which takes the hold together with all other limits.
"""

from router.accounts.caller import Caller
from router.billing.balances import Balances
from router.billing.hold import Hold, Wanted, make_hold
from router.billing.notebook import Notebook
from router.billing.prices import PriceList
from router.catalog.routes import Route
from router.errors import BooksUnavailable, CreditEmpty, ModelNotPriced
from router.ledger.money import format_usd


class Purse:
    """Makes the holds of one process, whose settlements go to `notebook`."""

    def __init__(self, prices: PriceList, balances: Balances, notebook: Notebook) -> None:
        self._prices = prices
        self._balances = balances
        self._notebook = notebook

    def check(self) -> None:
        """Raise `BooksUnavailable` if the end of a request could not be written down."""
        if not self._notebook.accepts:
            raise BooksUnavailable

    def route_for(self, caller: Caller, route: Route) -> Route:
        """Return what of a route may be sold to a caller. Raises `ModelNotPriced`."""
        if not caller.pays_in_advance:
            return route
        priced = self._prices.priced(route)
        if priced is None:
            raise ModelNotPriced(route.id)
        return priced

    async def until_known(self, caller: Caller) -> None:
        """Wait for the caller's credit to be read. Raises `BooksUnavailable` where it cannot be."""
        account, key = caller.prepaid_account, caller.budgeted_key
        if not await self._balances.until_known(account=account, key=key):
            raise BooksUnavailable

    def hold(self, caller: Caller, route: Route, wanted: Wanted) -> Hold | None:
        """Return what to hold as of now for a request of a caller that pays in advance.

        `None` where its credit is not known: see `until_known`. Raises `CreditEmpty` where it does not
        suffice even with no other call running, and `ModelNotPriced`. What is held by it must be taken
        without waiting: credit is known for a moment only.
        """
        price = self._prices.dearest(route)
        if price is None:
            raise ModelNotPriced(route.id)
        account, budget = caller.prepaid_account, caller.key.budget_nanodollars
        known = self._balances.look_up(account=account, key=caller.budgeted_key)
        if known is None:
            return None
        credit, spent = known
        hold = make_hold(
            price,
            wanted,
            account=None if account is None else credit,
            key=None if budget is None else max(0, budget - spent),
        )
        if (account is not None and credit < hold.amount) or (
            hold.key is not None and hold.key < hold.amount
        ):
            _check_least(hold)
        return hold


def _check_least(hold: Hold) -> None:
    """Raise `CreditEmpty` where there is not even the least that the request may start with."""
    least = hold.least
    if hold.account is not None and hold.account < least:
        raise _empty("account", hold.account, least)
    if hold.key is not None and hold.key < least:
        raise _empty("key's budget", hold.key, least)


def _empty(name: str, credit: int, least: int) -> CreditEmpty:
    return CreditEmpty(
        f"Insufficient credits: this request may cost ${format_usd(least)}, and the "
        f"{name} has ${format_usd(credit)} left. Top up, or ask for a shorter answer."
    )
