"""Settings for the whole suite: how much the property tests try.

`SYZE_TEST_SIZE` multiplies the number of generated examples (1 in `make test`, more in `make test-long`).
Examples are not bound by time, because a busy machine must not turn a true test red.

Tests of every kind may want a real PostgreSQL server, so its fixtures are made known here.
"""

import os

from hypothesis import HealthCheck, settings

pytest_plugins = ("tests.e2e.postgres_server",)

SIZE = max(1, int(os.environ.get("SYZE_TEST_SIZE", "1")))

settings.register_profile(
    "suite",
    max_examples=100 * SIZE,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.load_profile("suite")
