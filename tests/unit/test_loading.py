"""The collector of cycles stands still while modules are loaded, and only then."""

import gc
from collections.abc import Iterator

import pytest

from router.loading import collector_paused


@pytest.mark.usefixtures("collecting")
def test_it_stands_still_inside_and_goes_on_afterwards() -> None:
    with collector_paused():
        assert not gc.isenabled()
        with collector_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


@pytest.mark.usefixtures("collecting")
def test_it_goes_on_after_a_module_that_cannot_be_loaded() -> None:
    with pytest.raises(ImportError), collector_paused():
        raise ImportError
    assert gc.isenabled()


@pytest.mark.usefixtures("collecting")
def test_where_it_stood_still_before_it_does_afterwards() -> None:
    gc.disable()
    with collector_paused():
        pass
    assert not gc.isenabled()


@pytest.fixture
def collecting() -> Iterator[None]:
    gc.enable()
    yield
    gc.enable()
