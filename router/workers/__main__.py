"""`python -m router.workers NUMBER`: a worker, with its supervisor at the other end of that descriptor."""

import signal
import sys

import trio

from router.loading import collector_paused


def main() -> None:
    """Run a worker to its end, and exit with its code."""
    # A reload is the supervisor's affair, even when the signal is sent to everybody.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with collector_paused():
        from router.workers.worker import run_worker  # noqa: PLC0415 - what is to be served with
    sys.exit(trio.run(run_worker, int(sys.argv[1])))


if __name__ == "__main__":
    main()
