"""How far a stream may write before it is looked at again: never further than what is held pays for."""

from math import ceil, inf

import trio
from hypothesis import given
from hypothesis import strategies as st

from router.billing.hold import Wanted, make_hold
from router.billing.meter import Meter
from router.ledger.price import Price

MILLION = 1_000_000


def price_of(output: int) -> Price:
    return Price(input=MILLION, output=output, cache_read=0, cache_write=0, reasoning=0)


def meter_of(
    price: Price, held: int, bytes_per_token: float, most: int | None, portions: list[int]
) -> Meter:
    def tokens_of(output_bytes: int) -> int:
        tokens = ceil(output_bytes / bytes_per_token)
        return tokens if most is None else min(tokens, most)

    async def hold_more(wanted: int, least: int) -> int:
        await trio.lowlevel.checkpoint()
        return min(wanted, portions.pop()) if portions and portions[-1] >= least else 0

    wanted = Wanted(prompt_tokens=10, output_tokens=100, capped=False)
    hold = make_hold(price, wanted, account=None, key=None)
    return Meter(hold, held=held, tokens_of=tokens_of, hold_more=hold_more)


@given(
    held=st.integers(0, 6_000),
    bytes_per_token=st.floats(1.0, 8.0),
    most=st.none() | st.integers(0, 3_000),
    sizes=st.lists(st.integers(0, 300), max_size=200),
    portions=st.lists(st.integers(0, 3_000), max_size=3),
)
def test_a_stream_stops_at_the_byte_at_which_it_would_if_it_were_looked_at_with_every_event(
    held: int, bytes_per_token: float, most: int | None, sizes: list[int], portions: list[int]
) -> None:
    meter = meter_of(price_of(MILLION), held, bytes_per_token, most, portions)

    async def write() -> None:
        written = 0
        up_to: float = -1
        for size in sizes:
            written += size
            if written > up_to:
                up_to = meter.covers_up_to(written)
            assert (written <= up_to) == meter.covers(written)
            if written > up_to and not await meter.allows(written):
                return

    trio.run(write)


@given(written=st.integers(0, 10**9))
def test_a_stream_whose_output_costs_nothing_is_never_looked_at_again(written: int) -> None:
    assert meter_of(price_of(0), 100, 3.0, None, []).covers_up_to(written) == inf


def test_a_long_stream_is_looked_at_a_few_times_and_not_with_every_event() -> None:
    meter = meter_of(price_of(MILLION), 100_000, 3.0, None, [])
    written, looks = 0, 0
    up_to: float = -1
    while meter.covers(written):
        if written > up_to:
            up_to = meter.covers_up_to(written)
            looks += 1
        written += 12
    assert written > 200_000
    assert looks < 50
