"""One attempt as the health of an endpoint and of a key see it: begun, and ended once.

Attempts overlap, and answers come late. A hundred calls that fail together are one piece of news, not a
hundred; a call begun before an outage says nothing about the time after it. So every attempt carries the
*epoch* in which it began. The health starts a new epoch whenever it changes its mind, and what an attempt
of an earlier one has to tell no longer moves it.
"""

import msgspec


class Trial(msgspec.Struct, kw_only=True):
    """Handed out by `begin`, handed back at the end. `probe`: the one request that may find out."""

    epoch: int
    probe: bool = False
    committed: bool = False
    ended: bool = False

    def end(self) -> None:
        """Note the outcome. Raises `RuntimeError` for a second one: it would be counted twice."""
        if self.ended:
            raise RuntimeError("this attempt has had its outcome already")
        self.ended = True
