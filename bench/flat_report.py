"""The table of what a request costs with many candidates and with many keys."""

import statistics

from bench.flat_record import Flat
from bench.race_report import Row


def flat_rows(result: Flat) -> list[Row]:
    """One row for each gateway, the header first."""
    plain = result.levels[0]
    return [
        ("gateway", "candidates", "keys", "CPU µs", "times the first"),
        *(
            (
                level.name,
                str(level.candidates),
                str(level.keys),
                f"{statistics.median(level.cpu_us):.1f}",
                f"{level.ratio_to(plain):.3f}",
            )
            for level in result.levels
        ),
    ]
