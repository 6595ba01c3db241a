"""One measurement over real sockets, from the calibration to the result."""

import signal

import trio

from router.loadtest.ceiling import find_ceiling
from router.loadtest.plan import Plan
from router.loadtest.pump import open_pump
from router.loadtest.result import Result, result_of
from router.loadtest.run import Load, Show
from router.loadtest.target import Target
from router.loadtest.watched import Watched


async def measure(
    plan: Plan, target: Target, *, base_url: str, pid: int | None, calibrate: bool, show: Show
) -> Result:
    """Find what the load generator can do, put the load on the target, and sum it up.

    `pid` is a local server's. SIGINT ends the load early, and what was measured until then is told. Raises
    NothingMeasured, CalibrationFailed, or OSError when the process is not there.
    """
    ceiling = None
    if calibrate:
        show("measuring the load generator itself")
        ceiling = await find_ceiling()
    watched = None if pid is None else Watched(pid)
    async with open_pump() as pump:
        load = Load(plan, target, dial=pump.dialer(target), watched=watched, show=show)
        await _until_interrupted(load)
    return result_of(load, base_url=base_url, ceiling=ceiling, watched=watched)


async def _until_interrupted(load: Load) -> None:
    with trio.open_signal_receiver(signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:

            async def listen() -> None:
                async for _ in signals:
                    nursery.cancel_scope.cancel()

            nursery.start_soon(listen)
            await load.play()
            nursery.cancel_scope.cancel()
