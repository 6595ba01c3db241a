"""Which processor cores whose work may run on.

The gateway gets a core for itself and the load with the simulated provider another, so that its
figures do not contain their cache misses and the kernel does not move it about. With one core only
there is nothing to divide.
"""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Self

import msgspec


class Layout(msgspec.Struct, frozen=True):
    """The cores of the gateway, and those of everything that loads it."""

    gateway: frozenset[int]
    load: frozenset[int]

    @classmethod
    def of(cls, cores: Collection[int]) -> Self:
        """Divide some cores. The gateway takes the last: interrupts favour the first."""
        *others, last = sorted(cores)
        if not others:
            return cls(frozenset({last}), frozenset({last}))
        return cls(frozenset({last}), frozenset(others))

    @property
    def divided(self) -> bool:
        """Whether the two share no core."""
        return self.gateway.isdisjoint(self.load)


@contextmanager
def running_on(cores: Collection[int]) -> Iterator[None]:
    """Keep this thread, and whatever it starts meanwhile, on some cores.

    A process has to be born there: moving it later moves only its main thread.
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
