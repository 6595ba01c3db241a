"""What the requests of one load came to, gathered while it runs, in bounded memory."""

from collections import Counter
from typing import Final

from router.loadtest.histogram import Histogram
from router.loadtest.outcome import Outcome

_MOST_BINS: Final = 120
_EXAMPLES: Final = 10


class Bin:
    """The requests that were due in one stretch of time; `latency` holds what the load is judged by."""

    def __init__(self) -> None:
        self.requests = 0
        self.problems = 0
        self.latency = Histogram()


class Tally:
    """Gathers outcomes. Those due in the first `warm` seconds, or after `seconds` more, are not measured.

    `first_token` and `latency` are of good answers only; `late` is of all. `told` has an example of
    each kind of problem.
    """

    def __init__(self, *, warm: float, seconds: float) -> None:
        self.bin_seconds = max(1.0, seconds / _MOST_BINS)
        self.bins: dict[int, Bin] = {}
        self.requests = 0
        self.good = 0
        self.answered = 0
        self.problems: Counter[str] = Counter()
        self.told: dict[str, str] = {}
        self.latency = Histogram()
        self.first_token = Histogram()
        self.late = Histogram()
        self._from = warm
        self._to = warm + seconds

    def measures(self, due: float) -> bool:
        """Tell whether a request that is due then counts."""
        return self._from <= due < self._to

    def add(self, outcome: Outcome) -> None:
        """Take one outcome in. `answered` counts all good ones, those of the warm-up too."""
        self.answered += outcome.problem is None
        if not self.measures(outcome.due):
            return
        self.requests += 1
        self.late.add(outcome.late)
        place = self.bins.setdefault(int((outcome.due - self._from) / self.bin_seconds), Bin())
        place.requests += 1
        if outcome.problem is not None:
            place.problems += 1
            self._add_problem(outcome.problem, outcome.told)
            return
        self.good += 1
        self.latency.add(outcome.seconds)
        first = outcome.first_token
        if first is not None:
            self.first_token.add(first)
        place.latency.add(outcome.seconds if first is None else first)

    def _add_problem(self, problem: str, told: str) -> None:
        self.problems[problem] += 1
        if problem not in self.told and len(self.told) < _EXAMPLES:
            self.told[problem] = told
