"""The table of what workers cost together and apart."""

from bench.race_report import Row
from bench.workers_record import Workers


def worker_rows(result: Workers) -> list[Row]:
    """One row for each round, the header first."""
    return [
        ("round", "CPU µs together", "CPU µs apart", "a second together", "a second apart"),
        *(
            (
                str(number),
                f"{one.together.cpu_us:.1f}",
                f"{one.apart.cpu_us:.1f}",
                f"{one.together.per_second:,.0f}",
                f"{one.apart.per_second:,.0f}",
            )
            for number, one in enumerate(result.rounds, 1)
        ),
    ]
