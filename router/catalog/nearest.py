"""The ids nearest to one that does not exist, for the answer that says so.

Comparing a string with thousands of others in full takes too long for an event loop that serves
streams. So an index from three-letter pieces to ids finds the few that share most with the query,
rarest pieces first and never more than a fixed amount of work, and only those are compared in full.
"""

import difflib
from collections import Counter
from collections.abc import Iterable
from typing import Final

_MAX_QUERY: Final = 100
_MAX_POSTINGS: Final = 10_000
_MAX_COMPARED: Final = 16
_LIKENESS: Final = 0.5


class NearestIndex:
    """An index over a fixed set of ids; case does not matter."""

    __slots__ = ("_ids", "_postings")

    def __init__(self, ids: Iterable[str]) -> None:
        self._ids = tuple(ids)
        postings: dict[str, list[int]] = {}
        for place, id_ in enumerate(self._ids):
            for piece in _pieces(id_.lower()):
                postings.setdefault(piece, []).append(place)
        self._postings = postings

    def nearest(self, query: str, count: int) -> list[str]:
        """Return up to `count` ids, the most alike first; none if nothing is alike."""
        query = query[:_MAX_QUERY].lower()
        matcher = difflib.SequenceMatcher(autojunk=False)
        matcher.set_seq2(query)
        scored = [(_likeness(matcher, id_.lower()), id_) for id_ in self._sharing(query)]
        alike = sorted((-score, id_) for score, id_ in scored if score >= _LIKENESS)
        return [id_ for _, id_ in alike[:count]]

    def _sharing(self, query: str) -> list[str]:
        lists = sorted((self._postings.get(piece, []) for piece in _pieces(query)), key=len)
        shared: Counter[int] = Counter()
        work = 0
        for places in lists:
            work += len(places)
            if work > _MAX_POSTINGS:
                break
            shared.update(places)
        ranked = sorted(shared, key=lambda place: (-shared[place], len(self._ids[place])))
        return [self._ids[place] for place in ranked[:_MAX_COMPARED]]


def _pieces(text: str) -> set[str]:
    padded = f" {text} "
    return {padded[start : start + 3] for start in range(len(padded) - 2)}


def _likeness(matcher: "difflib.SequenceMatcher[str]", id_: str) -> float:
    # The provider's part is what people leave out or get wrong, so the rest is compared as well.
    _, slash, rest = id_.partition("/")
    matcher.set_seq1(id_)
    whole = matcher.ratio()
    if not slash:
        return whole
    matcher.set_seq1(rest)
    return max(whole, matcher.ratio())
