"""What a client may ask by header about its own race, and what holds in the end."""

import pytest

from router.errors import InvalidRequest
from router.exchange.options import Hedging, Options, hedging, read_options


@pytest.mark.parametrize(
    ("name", "value", "options"),
    [
        ("x-syze-rescue", "off", Options(rescue=False)),
        ("x-syze-rescue", " OFF ", Options(rescue=False)),
        ("x-syze-rescue", "on", Options()),
        ("x-syze-hedge", "on", Options(hedge=True)),
        ("x-syze-hedge", "Off", Options(hedge=False)),
        ("x-syze-hedge", "0.8", Options(hedge=0.8)),
        ("x-syze-hedge", "1", Options(hedge=1.0)),
        ("x-syze-hedge", " 3600 ", Options(hedge=3600.0)),
        ("x-something-else", "off", Options()),
    ],
)
def test_headers_are_read(name: str, value: str, options: Options) -> None:
    read = read_options([(name.encode(), value.encode())])
    assert read == options
    assert type(read.hedge) is type(options.hedge)  # 1 second is not "on"


@pytest.mark.parametrize(
    "value", ["", "0", "-1", "nan", "inf", "3601", "true", "yes", "0.8s", "\xb2"]
)
def test_a_hedge_that_cannot_be_understood_is_refused(value: str) -> None:
    with pytest.raises(InvalidRequest, match="x-syze-hedge"):
        read_options([(b"x-syze-hedge", value.encode())])


@pytest.mark.parametrize(
    ("asked", "key", "route", "general", "holds"),
    [
        (None, None, None, True, True),
        (None, None, None, False, False),
        (None, None, False, True, False),
        (None, None, 0.5, False, 0.5),
        (None, True, False, False, True),
        (False, True, 0.5, True, False),
        (2.0, None, 0.5, True, 2.0),
        (True, None, False, False, True),
        # A key that may not hedge may not, whoever wishes it.
        (True, False, True, True, False),
        (0.1, False, 0.5, True, False),
        (None, False, None, True, False),
    ],
)
def test_the_narrowest_wish_holds_but_never_more_than_the_key_may(
    asked: Hedging | None, key: bool | None, route: Hedging | None, general: bool, holds: Hedging
) -> None:
    assert hedging(asked=asked, key=key, route=route, general=general) == holds


def test_to_turn_on_what_the_model_has_timed_keeps_its_time() -> None:
    assert hedging(asked=True, key=None, route=0.5, general=False) == 0.5
    assert hedging(asked=None, key=True, route=0.5, general=False) == 0.5
    assert hedging(asked=True, key=True, route=False, general=True) is True
