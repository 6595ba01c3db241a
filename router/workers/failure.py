"""What can stop a gateway that an operator can mend, told in one line and without a traceback."""

from collections.abc import Iterator
from typing import Final

from limiter.errors import TableError
from router.accounts.errors import AccountsError
from router.observe.trace import TracingUnavailableError


class WorkersFailed(Exception):
    """The workers do not serve, and starting them anew would not help; the text says why."""


MENDABLE: Final = (
    OSError,
    AccountsError,
    TableError,
    TracingUnavailableError,
    WorkersFailed,
)


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors themselves, out of the groups that the nurseries on their way put them in."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error
