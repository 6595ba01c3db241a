"""Payment notices: believed when they are signed and recent, and counted once."""

import msgspec
import pytest

from router.ledger.errors import PaymentRefused
from router.ledger.payment import SIGNATURE_HEADER, PaymentProvider, SignedNotices, TopUp, sign

SECRET = b"a secret of many bytes"
NOTICE = {"id": "pay_1", "account": "acc_1", "amount_usd": "12.50"}
PROVIDER: PaymentProvider = SignedNotices("example", [SECRET])


def verify(
    notice: object, *, at: int = 1000, now_at: float = 1000.0, secret: bytes = SECRET
) -> TopUp | None:
    body = msgspec.json.encode(notice)
    header = f"t={at},v1={sign(secret, str(at), body)}"
    return PROVIDER.verify({SIGNATURE_HEADER: header}, body, now_at=now_at)


def test_a_signed_notice_is_a_top_up_with_a_key_of_its_own() -> None:
    assert verify(NOTICE) == TopUp(
        account="acc_1", amount=12_500_000_000, key="payment:example:pay_1", reference="pay_1"
    )


@pytest.mark.parametrize("now_at", [699.0, 1301.0])
def test_an_old_notice_or_one_from_the_future_is_refused(now_at: float) -> None:
    with pytest.raises(PaymentRefused, match="too old"):
        verify(NOTICE, now_at=now_at)


@pytest.mark.parametrize("now_at", [700.0, 1300.0])
def test_clocks_may_differ_within_the_tolerance(now_at: float) -> None:
    assert verify(NOTICE, now_at=now_at) is not None


def test_a_notice_signed_with_another_secret_is_refused() -> None:
    with pytest.raises(PaymentRefused, match="signature"):
        verify(NOTICE, secret=b"another secret of bytes")


def test_a_notice_without_a_signature_is_refused() -> None:
    with pytest.raises(PaymentRefused, match="signature"):
        PROVIDER.verify({}, msgspec.json.encode(NOTICE), now_at=1000)


def test_two_times_in_one_signature_are_refused() -> None:
    body = msgspec.json.encode(NOTICE)
    header = f"t=1000,t=2000,v1={sign(SECRET, '1000', body)}"
    with pytest.raises(PaymentRefused):
        PROVIDER.verify({SIGNATURE_HEADER: header}, body, now_at=1000)


def test_both_secrets_are_good_while_one_is_replaced() -> None:
    provider = SignedNotices("example", [b"the new secret of many", SECRET])
    body = msgspec.json.encode(NOTICE)
    header = f"t=1000,v1={'0' * 64},v1={sign(SECRET, '1000', body)}"
    assert provider.verify({SIGNATURE_HEADER: header}, body, now_at=1000).amount > 0


@pytest.mark.parametrize(
    "notice",
    [
        [],
        {},
        NOTICE | {"amount_usd": 12.5},
        NOTICE | {"amount_usd": "nan"},
        NOTICE | {"amount_usd": "-1.00"},
        NOTICE | {"amount_usd": "0"},
        NOTICE | {"amount_usd": "1000000.01"},
        NOTICE | {"id": ""},
        NOTICE | {"id": "a\x00b"},
        NOTICE | {"id": "a" * 201},
    ],
)
def test_a_genuine_notice_that_makes_no_sense_is_refused(notice: object) -> None:
    with pytest.raises(PaymentRefused):
        verify(notice)


@pytest.mark.parametrize("secrets", [[], [b"short"], [SECRET, b"short"]])
def test_a_provider_without_a_real_secret_is_refused(secrets: list[bytes]) -> None:
    with pytest.raises(ValueError, match="secret"):
        SignedNotices("example", secrets)
