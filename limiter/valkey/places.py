"""Where the state of a subject lies in the server, and which subjects one script call can reach.

A script sees keys of one cluster slot only, and a key's slot is that of the part in braces, its tag. The
subjects of one account should share a tag, so that its key and its account are decided in one call.
"""

from collections.abc import Iterable, Mapping

import msgspec

from limiter.demand import Demand

NO_BRACES = str.maketrans("{}", "()")


class Place(msgspec.Struct, frozen=True):
    """The two keys of a subject; equal `tag`, equal slot."""

    subject: str
    tag: str
    window: str
    gauge: str


def place(prefix: str, subject: str, tag: str | None) -> Place:
    """Return where `subject` lies. Without a `tag` it has its own."""
    tag = (tag or subject).translate(NO_BRACES)
    return Place(
        subject=subject,
        tag=tag,
        window=f"{prefix}w{{{tag}}}{subject}",
        gauge=f"{prefix}g{{{tag}}}{subject}",
    )


Part = tuple[Place, Demand]


def parts(
    demands: Iterable[Demand], tags: Mapping[str, str], *, prefix: str, apart: bool
) -> list[list[Part]]:
    """Group demands so that one call can decide each group: by tag if `apart`, else all together.

    Raises `ValueError` where a subject comes twice, or there is none.
    """
    groups: dict[str, list[Part]] = {}
    seen = set()
    for demand in demands:
        if demand.subject in seen:
            raise ValueError(f"{demand.subject} is demanded twice in one reservation")
        seen.add(demand.subject)
        found = place(prefix, demand.subject, tags.get(demand.subject))
        groups.setdefault(found.tag if apart else "", []).append((found, demand))
    if not groups:
        raise ValueError("a reservation needs at least one demand")
    return list(groups.values())
