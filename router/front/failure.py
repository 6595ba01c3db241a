"""What happens to a connection whose application has failed: the log is told, and the server goes on."""

import logging

import trio


def log_failure(raised: BaseException) -> bool:
    """Log the errors that an application has let out; tell whether there were any.

    `False` for cancellation and for what ends the process: that is to be raised again. Of a group in which
    cancellation lies beside errors, the errors are logged; who was cancelled hears of it again at the next
    checkpoint.
    """
    errors: BaseException | None = raised
    if isinstance(raised, BaseExceptionGroup):
        errors = raised.split(trio.Cancelled)[1]
    if not isinstance(errors, Exception):
        return False
    logging.getLogger(__name__).error("the application failed", exc_info=errors)
    return True
