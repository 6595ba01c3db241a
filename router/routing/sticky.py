"""Sending equal beginnings to the same place.

Many providers keep the work of reading a prompt for a few minutes, and charge a fraction for a prompt that
begins in the same way. That pays only if the second request reaches the machine that served the first.
Rendezvous hashing (Thaler and Ravishankar, 1998) finds it with no table to keep or to share: every candidate
gets a score for the beginning at hand, and the highest wins. All workers agree, and when a candidate goes,
its beginnings alone move, each to the candidate with its second highest score.

With scores `-weight / ln(u)`, `u` uniform in (0, 1), a candidate owns beginnings in proportion to its weight
(Schindelhauer and Schomaker, "Weighted Distributed Hash Tables", 2005).
"""

from hashlib import blake2b
from math import log
from typing import Final

_MASK: Final = 2**64 - 1


def fingerprint(data: bytes) -> int:
    """Return 64 bits that stand for `data`: the beginning of a prompt, or a candidate's own name."""
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little")


def score(prefix: int, place: int, weight: float) -> float:
    """Return the score, above zero, of a candidate for a beginning; both are given as fingerprints."""
    mixed = _mixed(_mixed(prefix) ^ place)
    uniform = ((mixed >> 11) + 0.5) * 2.0**-53
    return -weight / log(uniform)


def _mixed(x: int) -> int:
    """Spread a number over all 64 bits: the finalizer of SplitMix64 (Steele, Lea and Flood, 2014)."""
    x = (x + 0x9E3779B97F4A7C15) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)
