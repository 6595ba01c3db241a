"""The end of one request, which comes once: books closed, cost written down, reservation settled (I1).

A whole answer is closed *before* its last bytes go out, so that a client which saw its end has paid for it
whatever happens to this process next. Any other end is closed when it has come.
"""

from collections.abc import Callable
from contextlib import suppress

import msgspec

from router.accounts.caller import Caller
from router.admission.admitted import Admitted
from router.errors import BooksUnavailable
from router.exchange.books import Bill, Books, Ending
from router.observe.record import RequestRecord

Settle = Callable[[Caller, RequestRecord, Bill, Admitted], None]
"""Settles a request that has ended; synchronous. Raises `BooksUnavailable` if it cannot be written down."""


class Closing(msgspec.Struct, eq=False):
    """Closes one request's books. `settle` is called once, with the bill."""

    _caller: Caller
    _record: RequestRecord
    books: Books
    admitted: Admitted
    _settle: Settle
    _closed: bool = False

    def close(self, ending: Ending) -> None:
        """Close the books, unless they are. Raises `BooksUnavailable`; the reservation has ended even so."""
        if self._closed:
            return
        self._closed = True
        bill = self.books.close(ending)
        self._record.costs = bill.charges
        _note_usage(self._record, bill)
        self._settle(self._caller, self._record, bill, self.admitted)

    def close_unless_whole(self, ending: Ending) -> None:
        """Close the books of a request that came to another end. Raises nothing: there is nobody to tell."""
        if self._closed:
            return
        with suppress(BooksUnavailable):  # whoever settles has reported what could not be written
            self.close(ending)


def _note_usage(record: RequestRecord, bill: Bill) -> None:
    """Note what the answer used, whoever pays for it."""
    charge = bill.customer
    if charge is None:
        charge = next((charge for charge in bill.charges if charge.has_begun), None)
    if charge is None:
        return
    usage = charge.usage
    record.input_tokens = usage.input_tokens
    record.output_tokens = usage.output_tokens
    record.cached_tokens = usage.cached_tokens
    record.reasoning_tokens = usage.reasoning_tokens
    record.usage_estimated = usage.estimated
