"""What an application lets out: errors are logged, and cancellation is left to whoever it is for."""

import pytest
import trio

from router.front.failure import log_failure


def a_cancellation() -> BaseException:
    """What a task that is cancelled sees."""
    caught: list[BaseException] = []

    async def be_cancelled() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            try:
                await trio.sleep_forever()
            except trio.Cancelled as cancelled:
                caught.append(cancelled)
                raise

    trio.run(be_cancelled)
    return caught[0]


CANCELLED = a_cancellation()


@pytest.mark.parametrize(
    ("raised", "logged"),
    [
        (ValueError("one"), ["one"]),
        (ExceptionGroup("", [ValueError("one"), OSError("two")]), ["one", "two"]),
        (BaseExceptionGroup("", [CANCELLED, ValueError("one")]), ["one"]),
        (CANCELLED, []),
        (BaseExceptionGroup("", [CANCELLED, CANCELLED]), []),
        (BaseExceptionGroup("", [KeyboardInterrupt(), ValueError("one")]), []),
        (SystemExit(), []),
    ],
    ids=["error", "errors", "beside", "cancelled", "all_cancelled", "interrupt", "exit"],
)
def test_errors_are_logged_and_what_is_none_is_left_alone(
    raised: BaseException, logged: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert log_failure(raised) is bool(logged)
    told = [record.exc_info[1] for record in caplog.records if record.exc_info is not None]
    assert [str(error) for one in told for error in members(one)] == logged


def members(error: BaseException | None) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return list(error.exceptions)
    return [] if error is None else [error]
