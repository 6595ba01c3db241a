"""What the end-to-end tests share: one simulated provider, one gateway process, one Node.

Whoever takes the gateway gets the leak check with it: after every test, whatever it did, nothing may
be in flight and no upstream connection in use.
"""

from collections.abc import Iterator

import pytest

from router.simulator import Simulator
from tests.e2e.exam import Hall, Room, exam_hall
from tests.e2e.gateway import UPSTREAM_KEY, Gateway, running_gateway
from tests.e2e.node_sdk import NodeDriver, NodeSdk
from tests.e2e.provider import serving
from tests.e2e.sdk import AsyncPythonSdk, PythonSdk, Sdk

WRITE_SECONDS = 1.0
STRICT = {
    "max_body_bytes": 256 * 1024,
    "write_seconds": WRITE_SECONDS,
    "drain_seconds": 5.0,
    "cors_origins": ["https://app.example"],
}


@pytest.fixture(scope="session")
def provider() -> Simulator:
    """The simulated provider behind all gateways."""
    return Simulator(required_keys=[UPSTREAM_KEY])


@pytest.fixture(scope="session")
def provider_port(provider: Simulator) -> Iterator[int]:
    with serving(provider) as port:
        yield port


@pytest.fixture(scope="session")
def ordinary_gateway(
    provider: Simulator, provider_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """A gateway with the defaults."""
    with running_gateway(tmp_path_factory.mktemp("gateway"), provider, provider_port) as running:
        yield running


@pytest.fixture(scope="session")
def narrow_gateway(
    provider: Simulator, provider_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """A gateway with small limits."""
    folder = tmp_path_factory.mktemp("narrow")
    with running_gateway(folder, provider, provider_port, STRICT) as running:
        yield running


@pytest.fixture
def gateway(ordinary_gateway: Gateway) -> Iterator[Gateway]:
    yield ordinary_gateway
    ordinary_gateway.leak_check()


@pytest.fixture
def strict_gateway(narrow_gateway: Gateway) -> Iterator[Gateway]:
    yield narrow_gateway
    narrow_gateway.leak_check()


@pytest.fixture(scope="session")
def node_driver() -> Iterator[NodeDriver]:
    with NodeDriver() as driver:
        yield driver


@pytest.fixture
def python(gateway: Gateway) -> PythonSdk:
    return PythonSdk(gateway.base_url, gateway.key)


@pytest.fixture
def node(gateway: Gateway, node_driver: NodeDriver) -> NodeSdk:
    return NodeSdk(node_driver, gateway.base_url, gateway.key)


@pytest.fixture(params=["python", "python-async", "node"])
def sdk(gateway: Gateway, request: pytest.FixtureRequest) -> Sdk:
    """Each of the official SDKs in turn."""
    if request.param == "python":
        return PythonSdk(gateway.base_url, gateway.key)
    if request.param == "python-async":
        return AsyncPythonSdk(gateway.base_url, gateway.key)
    return NodeSdk(request.getfixturevalue("node_driver"), gateway.base_url, gateway.key)


@pytest.fixture(scope="session")
def open_hall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    """The hall of the failover exam."""
    with exam_hall(tmp_path_factory.mktemp("exam")) as opened:
        yield opened


@pytest.fixture
def hall(open_hall: Hall) -> Iterator[Hall]:
    yield open_hall
    open_hall.leak_check()


@pytest.fixture
def room(hall: Hall) -> Room:
    """A primary and a fallback that no test has met before."""
    return next(hall.rooms)


@pytest.fixture
def rescue_room(hall: Hall) -> Room:
    """One whose fallback is known to continue an answer that has begun."""
    return next(hall.rescue_rooms)
