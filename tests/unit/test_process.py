"""What a serving process asks of its interpreter, seen in a process of its own: it cannot be taken back."""

import subprocess
import sys

SEEN = """
import gc, sys
from router.process import YOUNG_OBJECTS, prepare_interpreter
prepare_interpreter()
frozen = gc.get_freeze_count()
gc.collect()
print(frozen > 10_000, gc.get_freeze_count() == frozen)
print(gc.get_threshold()[0] == YOUNG_OBJECTS, round(sys.getswitchinterval(), 6))
"""


def test_what_stays_is_kept_from_the_collector_and_threads_take_short_turns() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SEEN], check=True, capture_output=True, text=True, timeout=60
    )
    assert ran.stdout.split() == ["True", "True", "True", "0.001"]
