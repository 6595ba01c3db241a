"""A latency that believes bad news at once and good news slowly.

The load balancer needs one number per endpoint: how long does a first token take here, now? A plain average
hides a sudden stall behind a hundred good answers. The peak-sensitive one, known from Finagle and from
tower's `load::PeakEwma`, jumps to a sample that is worse than the estimate and glides down towards better
ones, with the weight `exp(-dt / tau)` for what it knew `dt` seconds ago.

Reading glides towards zero too. An endpoint that was slow is asked less, so it yields fewer samples; if its
estimate stood still, it would never be asked again. In tower a reading writes the faded estimate back, and so
how often one looks changes what one sees; here a reading leaves no trace.
"""

from math import exp


class PeakEwma:
    """A peak-sensitive, exponentially weighted moving average.

    `tau` is the memory in seconds; `initial`, in the unit of the samples, stands before the first of them.
    """

    __slots__ = ("_estimate", "_tau", "_updated")

    def __init__(self, *, tau: float, initial: float) -> None:
        if tau <= 0.0:
            raise ValueError("tau must be above zero")
        self._tau = tau
        self._estimate = initial
        self._updated: float | None = None

    def observe(self, sample: float, now: float) -> None:
        """Take in one sample, observed at `now` (monotonic seconds)."""
        if sample < self._estimate:
            faded = self.read(now)
            sample = faded + sample * (1.0 - faded / self._estimate)
        self._estimate = sample
        self._updated = now

    def read(self, now: float) -> float:
        """Return the estimate, faded by the time since the last sample. Before any sample: `initial`."""
        updated = self._updated
        if updated is None or now <= updated:
            return self._estimate
        return self._estimate * exp((updated - now) / self._tau)
