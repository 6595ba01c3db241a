"""A dictionary of bounded size that forgets what was used longest ago.

What is learned per key and per model must not grow with the number of either; whoever comes back after having
been forgotten starts anew, which costs precision and nothing else.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """At most `most` values, each made by `make(key)` when it is first asked for. ValueError if below 1."""

    def __init__(self, most: int, make: Callable[[K], V]) -> None:
        if most < 1:
            raise ValueError("there must be room for at least 1")
        self._most = most
        self._make = make
        self._values: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def obtain(self, key: K) -> V:
        """Return the value of a key, made if need be, as the most recent; the least recent makes room."""
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
            return value
        made = self._values[key] = self._make(key)
        if len(self._values) > self._most:
            self._values.popitem(last=False)
        return made
