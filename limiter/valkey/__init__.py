"""The limits engine for many machines: the windows live in a Valkey or Redis server that all gateways share.

One script call takes a reservation from all its subjects or from none, by the server's own clock, so that no
two gateways have to agree on anything. `engine` is the whole to the outside; `wire` says what is asked of the
server, and the `.lua` files beside it what the server does; `link` holds the connection; `breaker` decides
when the server is not worth asking, and `rounds` is the one task that talks to it.
"""

from limiter.valkey.engine import ValkeyLimiter
from limiter.valkey.link import Store
from limiter.valkey.reservation import ValkeyReservation
from limiter.valkey.rounds import Settings
from limiter.valkey.waiting import StoreAway

__all__ = ["Settings", "Store", "StoreAway", "ValkeyLimiter", "ValkeyReservation"]
