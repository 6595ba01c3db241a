"""Routers, in Rust: they spread requests over replicas of one model, without keys, prices or dialects."""

from bench.compare.cache import Cache
from bench.compare.contestant import MODEL, Place, Start
from router.loadtest.target import Target


class SglangRouter:
    """sglang's router: round robin over one worker, no retries, no health checks."""

    name = "sglang-router"
    kind = "router"

    def install(self, cache: Cache) -> str:
        """Install the wheel."""
        return cache.python_package(self.name, "sglang-router")[1]

    def start(self, cache: Cache, place: Place) -> Start:
        """All is said on its command line."""
        python, _ = cache.python_package(self.name, "sglang-router")
        command = [str(python), "-m", "sglang_router.launch_router", *_options(place)]
        return Start([*command, "--disable-health-check"], _target(place))


class VllmRouter:
    """vLLM's router: round robin over one worker, no retries."""

    name = "vllm-router"
    kind = "router"

    def install(self, cache: Cache) -> str:
        """Install the wheel."""
        return cache.python_package(self.name, "vllm-router")[1]

    def start(self, cache: Cache, place: Place) -> Start:
        """All is said on its command line."""
        python, _ = cache.python_package(self.name, "vllm-router")
        return Start([str(python.with_name("vllm-router")), *_options(place)], _target(place))


def _options(place: Place) -> list[str]:
    return [
        *("--host", "127.0.0.1", "--port", str(place.port)),
        *("--worker-urls", place.upstream_origin),
        *("--policy", "round_robin", "--log-level", "error"),
        *("--prometheus-port", str(place.port + 1), "--prometheus-host", "127.0.0.1"),
        *("--max-concurrent-requests", "20000", "--request-timeout-secs", "600"),
        *("--disable-retries", "--disable-circuit-breaker"),
    ]


def _target(place: Place) -> Target:
    return Target("127.0.0.1", place.port, "/v1", "none", MODEL)
