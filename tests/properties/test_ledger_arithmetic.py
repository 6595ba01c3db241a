"""What holds for every price, every usage, every amount and every byte of a journal."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.dialect import Usage
from router.ledger.cost import Tokens, cost, cost_of_tokens, possible_tokens
from router.ledger.errors import PaymentRefused
from router.ledger.frame import read_frames, write_frame
from router.ledger.hold import affordable_output, worst_case
from router.ledger.money import format_usd, parse_usd
from router.ledger.payment import SIGNATURE_HEADER, SignedNotices, sign
from router.ledger.price import Price, PriceProblem, make_price, marked_up
from tests.ledger_world import settlement

counts = st.integers(0, 10**7)
rates = st.one_of(st.just(0), st.integers(1, 10**13))
prices = st.builds(
    Price, input=rates, output=rates, cache_read=rates, cache_write=rates, reasoning=rates
)
any_counts = st.integers(-(10**20), 10**20)
usages = st.builds(
    Usage,
    input_tokens=any_counts,
    output_tokens=any_counts,
    cached_tokens=any_counts,
    reasoning_tokens=any_counts,
)


@st.composite
def tokens(draw: st.DrawFn) -> Tokens:
    read, written = draw(counts), draw(counts)
    cached = draw(st.integers(0, read))
    return Tokens(
        input=read,
        cached=cached,
        cache_write=draw(st.integers(0, read - cached)),
        output=written,
        reasoning=draw(st.integers(0, written)),
    )


@given(prices, tokens())
def test_a_cost_is_the_exact_sum_rounded_up(price: Price, used: Tokens) -> None:
    exact = Decimal(0)
    parts = (
        (used.input - used.cached - used.cache_write, price.input),
        (used.cached, price.cache_read),
        (used.cache_write, price.cache_write),
        (used.output - used.reasoning, price.output),
        (used.reasoning, price.reasoning),
    )
    for count, rate in parts:
        exact += Decimal(count) * Decimal(rate) / 10**6
    assert 0 <= cost_of_tokens(price, used) - exact < 1


@given(prices, usages, any_counts)
def test_i3_no_usage_costs_less_than_nothing(price: Price, usage: Usage, writes: int) -> None:
    assert cost(price, msgspec.structs.replace(usage, cache_write_tokens=writes)) >= 0
    used = possible_tokens(msgspec.structs.replace(usage, cache_write_tokens=writes))
    assert used.cached + used.cache_write <= used.input
    assert used.reasoning <= used.output


@given(prices, tokens(), st.integers(0, 1000), st.integers(0, 1000))
def test_no_answer_within_the_estimate_costs_more_than_its_hold(
    price: Price, used: Tokens, more_input: int, more_output: int
) -> None:
    held = worst_case(
        price, input_tokens=used.input + more_input, output_tokens=used.output + more_output
    )
    assert cost_of_tokens(price, used) <= held


@given(prices, counts, st.integers(0, 10**15))
def test_credit_is_enough_for_what_it_allows_and_for_no_more(
    price: Price, read: int, credit: int
) -> None:
    allowed = affordable_output(price, input_tokens=read, credit=credit)
    if allowed is None:
        assert worst_case(price, input_tokens=read, output_tokens=10**9) <= credit
    elif allowed == -1:
        assert worst_case(price, input_tokens=read, output_tokens=0) > credit
    else:
        assert worst_case(price, input_tokens=read, output_tokens=allowed) <= credit
        assert worst_case(price, input_tokens=read, output_tokens=allowed + 1) > credit


@given(st.floats() | st.decimals() | st.text(max_size=12))
def test_i3_whatever_is_stated_gives_a_price_that_is_possible_or_none(
    stated: float | Decimal | str,
) -> None:
    try:
        price = make_price("a/b", {"input": stated, "output": 1})
    except PriceProblem:
        return
    assert 0 <= price.input <= 10**13


@given(prices, st.decimals(Decimal("0.001"), 100, places=3))
def test_a_markup_changes_every_rate_by_its_factor(price: Price, factor: Decimal) -> None:
    dearer = marked_up(price, factor)
    for rate in msgspec.structs.asdict(price):
        assert 0 <= getattr(dearer, rate) - getattr(price, rate) * factor < 1


@given(st.integers(-(10**18), 10**18))
def test_every_amount_survives_its_text(nanodollars: int) -> None:
    assert parse_usd(format_usd(nanodollars)) == nanodollars


# Frames

FRAMES = [write_frame(settlement(model=f"m{number}" * number)) for number in range(4)]
WHOLE = b"".join(FRAMES)


@given(st.integers(0, len(WHOLE)), st.integers(0, 50))
def test_a_file_cut_anywhere_gives_what_was_whole(length: int, zeros: int) -> None:
    reading = read_frames(WHOLE[:length] + b"\0" * zeros, start=1000)
    ends = [1000 + sum(map(len, FRAMES[:count])) for count in range(1, 5)]
    whole = [end for end in ends if end <= 1000 + length]
    assert [end for end, _ in reading.records] == whole
    assert reading.end == (whole[-1] if whole else 1000)
    assert reading.damage == ()
    assert reading.torn <= 1000 + length - reading.end


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_one_changed_byte_costs_one_settlement_and_is_noticed(position: int, flip: int) -> None:
    data = bytearray(WHOLE)
    data[position] ^= flip
    intact = read_frames(WHOLE, start=0).records
    reading = read_frames(bytes(data), start=0)
    assert len(reading.records) == 3
    assert all(record in intact for record in reading.records)
    assert bool(reading.damage) != bool(reading.torn)


@given(
    st.binary(max_size=300), st.lists(st.sampled_from(FRAMES), max_size=3), st.binary(max_size=99)
)
def test_garbage_around_frames_hides_none_of_them(
    before: bytes, frames: list[bytes], behind: bytes
) -> None:
    reading = read_frames(before + b"".join(frames) + behind, start=0)
    assert len(reading.records) == len(frames)
    assert bool(reading.damage) == (bool(before) and bool(frames))


# Payments

SECRET = b"a secret of many bytes"
BODY = b'{"id": "pay_1", "account": "acc_1", "amount_usd": "12.50"}'
PROVIDER = SignedNotices("example", [b"the one before this one", SECRET])
SIGNATURE = f"t=1000,v1={sign(SECRET, '1000', BODY)}"


@given(st.integers(0, len(BODY) - 1), st.integers(1, 255))
def test_a_notice_with_one_changed_byte_is_refused(position: int, flip: int) -> None:
    body = bytearray(BODY)
    body[position] ^= flip
    with pytest.raises(PaymentRefused):
        PROVIDER.verify({SIGNATURE_HEADER: SIGNATURE}, bytes(body), now_at=1000)


@given(st.integers(0, len(SIGNATURE) - 1), st.characters())
def test_a_signature_with_one_changed_character_is_refused(position: int, other: str) -> None:
    changed = SIGNATURE[:position] + other + SIGNATURE[position + 1 :]
    if changed != SIGNATURE:
        with pytest.raises(PaymentRefused):
            PROVIDER.verify({SIGNATURE_HEADER: changed}, BODY, now_at=1000)


@given(st.text(max_size=40), st.binary(max_size=40))
def test_no_header_and_no_body_does_worse_than_be_refused(header: str, body: bytes) -> None:
    with pytest.raises(PaymentRefused):
        PROVIDER.verify({SIGNATURE_HEADER: header}, body, now_at=1000)
