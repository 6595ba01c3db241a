"""The books of one request: what each of its attempts cost, and who pays for it (invariant I4).

A request may take several attempts, and the customer asked for one answer. The rule, as it is published:

- The answer came whole: the customer pays its usage, as the provider counted it.
- It broke and another model went on with it: the customer pays the prompt once and all of the output;
  that the rescuer had to read the prompt and the beginning again is the operator's.
- The client left: the customer pays for the prompt and what had been produced for it.
- It failed for want of a working upstream: the customer pays nothing, whatever was produced.
- Attempts that lost a race or failed are the operator's.

Where a provider told no usage it is counted from the bytes of text, and marked as estimated. Everything here
is synchronous, so that cancellation cannot come between an end and its entry.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Final, Literal

import msgspec

from adapters.dialect import Usage
from router.exchange.live import Fate, LiveEndpoint, Run

Ending = Literal["whole", "left", "failed", "drained"]
Payer = Literal["customer", "operator"]

_NOTHING: Final = Usage()


class Role(StrEnum):
    """Why an attempt was made."""

    FIRST = "first"
    RETRY = "retry"
    HEDGE = "hedge"
    RESCUE = "rescue"


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt's part of the bill. `model` is the gateway's id of the model that was asked."""

    provider: str
    model: str
    role: Role
    fate: Fate
    payer: Payer
    usage: Usage


class Bill(msgspec.Struct, frozen=True):
    """What a request cost: a charge for each attempt, at most one of them the customer's.

    `drained` is the ending of a later bill, for the rest of an answer that was read for its usage's sake.
    """

    ending: Ending
    charges: tuple[Charge, ...]

    @property
    def customer(self) -> Charge | None:
        """The one charge that the customer pays, if there is one."""
        return next((charge for charge in self.charges if charge.payer == "customer"), None)


class Entry(msgspec.Struct, eq=False):
    """One attempt while its request runs: `usage` as told so far, `output_bytes` as they came."""

    run: Run
    role: Role
    usage: Usage | None = None
    output_bytes: int = 0


class Books:
    """The books of one request.

    `prompt_tokens`: the estimate of what the prompt costs to read. `tokens_of(bytes)`: the tokens that so
    much text of the model amounts to.
    """

    def __init__(self, *, prompt_tokens: int, tokens_of: Callable[[int], int]) -> None:
        self._prompt_tokens = prompt_tokens
        self._tokens_of = tokens_of
        self._entries: list[Entry] = []
        self._rescuing = False
        self._charges: list[Charge] | None = None

    def begun(self, run: Run, *, hedge: bool) -> None:
        """Enter an attempt as it begins."""
        if self._rescuing:
            role = Role.RESCUE
        elif not self._entries:
            role = Role.FIRST
        else:
            role = Role.HEDGE if hedge else Role.RETRY
        self._entries.append(Entry(run, role))

    def rescuing(self) -> None:
        """Enter every attempt from now on as one to rescue the answer."""
        self._rescuing = True

    def note(self, run: Run, usage: Usage | None, output_bytes: int) -> None:
        """Note what an attempt has used so far."""
        entry = next(entry for entry in self._entries if entry.run is run)
        entry.usage, entry.output_bytes = usage, output_bytes

    def close(self, ending: Ending) -> Bill:
        """Return the bill. Every attempt has ended by now, but for those that are drained."""
        paid = self._paid() if ending != "failed" else None
        self._charges = [
            self._charge(entry, "customer", self._of_customer(entry, ending))
            if entry is paid
            else self._charge(entry, "operator", self._of_operator(entry, paid))
            for entry in self._entries
        ]
        return Bill(ending, tuple(self._charges))

    def drained(self, live: LiveEndpoint, usage: Usage) -> Bill | None:
        """Note the usage of an attempt that was read to its end after nobody waited for it any more.

        Where the bill is closed already, return a later one for what goes beyond it: the operator's.
        """
        index = max(n for n, entry in enumerate(self._entries) if entry.run.live is live)
        entry = self._entries[index]
        if self._charges is None:
            entry.usage = usage
            return None
        rest = _beyond(usage, self._charges[index].usage)
        return Bill("drained", (self._charge(entry, "operator", rest),))

    def _paid(self) -> Entry | None:
        """Return whose model the customer pays: who began the answer, else who was about to."""
        began = (entry for entry in self._entries if entry.run.has_committed)
        asked = (entry for entry in self._entries if entry.run.fate is Fate.ABANDONED)
        return next(began, None) or next(asked, None)

    def _of_customer(self, paid: Entry, ending: Ending) -> Usage:
        """Return the usage of the answer as the client has it; a rescuer tells it for the whole."""
        rescuer = next((entry for entry in self._entries if _went_on(entry)), None)
        last = paid if rescuer is None or rescuer is paid else rescuer
        told = last.usage
        if told is not None and self._tells_all(last, ending):
            return told
        entries = (paid,) if last is paid else (paid, last)
        return self._estimated(paid, sum(map(self._output_tokens, entries)))

    def _tells_all(self, entry: Entry, ending: Ending) -> bool:
        """Whether what the provider told can be all: text that came took more than no token."""
        told = entry.usage.output_tokens if entry.usage is not None else 0
        least = 1 if ending == "whole" else self._tokens_of(entry.output_bytes)
        return told >= (least if entry.output_bytes else 0)

    def _of_operator(self, entry: Entry, paid: Entry | None) -> Usage:
        if entry.run.fate is Fate.REFUSED:
            return _NOTHING  # a provider reads nothing of what it refuses
        if paid is not None and _went_on(entry):
            before = self._output_tokens(paid) if entry.run.has_committed else 0
            return self._reading(self._prompt_tokens + before)
        if entry.usage is not None:
            return entry.usage
        return self._estimated(entry, self._output_tokens(entry))

    def _output_tokens(self, entry: Entry) -> int:
        told = entry.usage.output_tokens if entry.usage is not None else 0
        return max(told, self._tokens_of(entry.output_bytes))

    def _estimated(self, entry: Entry, produced: int) -> Usage:
        told = entry.usage.input_tokens if entry.usage is not None else 0
        return Usage(
            input_tokens=told or self._prompt_tokens, output_tokens=produced, estimated=True
        )

    def _reading(self, tokens: int) -> Usage:
        return Usage(input_tokens=tokens, estimated=True)

    def _charge(self, entry: Entry, payer: Payer, usage: Usage) -> Charge:
        endpoint = entry.run.live.endpoint
        return Charge(
            provider=endpoint.provider,
            model=endpoint.target.served_model,
            role=entry.role,
            fate=entry.run.fate or Fate.ABANDONED,
            payer=payer,
            usage=usage,
        )


def _beyond(usage: Usage, billed: Usage) -> Usage:
    return Usage(
        input_tokens=max(0, usage.input_tokens - billed.input_tokens),
        output_tokens=max(0, usage.output_tokens - billed.output_tokens),
        cached_tokens=max(0, usage.cached_tokens - billed.cached_tokens),
        reasoning_tokens=max(0, usage.reasoning_tokens - billed.reasoning_tokens),
    )


def _went_on(entry: Entry) -> bool:
    return entry.role is Role.RESCUE and entry.run.has_committed
