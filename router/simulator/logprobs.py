"""Made-up log probabilities: plausible in form, deterministic, and of no meaning.

The chosen token always leads its list of alternatives, as it does in a model that samples greedily.
"""

import hashlib
from typing import Any

from router.simulator.words import WORDS


def chat_logprob(token: str, top: int) -> dict[str, Any]:
    """The entry of one token in a chat choice, with `top` alternatives."""
    ranked = _ranked(token, max(top, 1))
    entries = [_entry(text, logprob) for text, logprob in ranked]
    return {**entries[0], "top_logprobs": entries[:top]}


def completion_logprobs(tokens: list[str], *, top: int, offset: int) -> dict[str, Any]:
    """The parallel lists of a legacy choice which starts `offset` characters into the text."""
    ranked = [_ranked(token, max(top, 1)) for token in tokens]
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(token)
    return {
        "tokens": tokens,
        "token_logprobs": [one[0][1] for one in ranked],
        "top_logprobs": [dict(one) for one in ranked] if top else None,
        "text_offset": offsets,
    }


def _entry(text: str, logprob: float) -> dict[str, Any]:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode())}


def _ranked(token: str, count: int) -> list[tuple[str, float]]:
    """The token and its rivals, each less likely than the one before it."""
    noise = hashlib.blake2b(token.encode(), digest_size=2).digest()
    best = -(noise[0] + 1) / 512
    rivals = [" " + WORDS[(noise[1] + step) % len(WORDS)] for step in range(count)]
    others = [rival for rival in rivals if rival != token]
    return [(token, best)] + [
        (rival, best - 2.0 - step / 2) for step, rival in enumerate(others[: count - 1])
    ]
