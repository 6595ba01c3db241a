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
from router.exchange.live import Fate, Run

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
    """One attempt's part of the bill.

    `model` is the gateway's id of the model that was asked, `upstream_model` its provider's own.
    """

    provider: str
    model: str
    upstream_model: str
    role: Role
    fate: Fate
    payer: Payer
    usage: Usage

    @property
    def has_begun(self) -> bool:
        """Whether its answer had begun, so that the client may have seen of it."""
        return self.fate in {Fate.SERVED, Fate.BROKEN}


class Whose(msgspec.Struct, frozen=True, kw_only=True):
    """Whose request it is that the books are of: what a bill is written to."""

    request_id: str
    account_id: str
    key_id: str


class Bill(msgspec.Struct, frozen=True):
    """What a request cost: a charge for each attempt, of which at most one is the `customer`'s.

    `drained` is the ending of a later bill, for the rest of an answer that was read for its usage's sake.
    `place` is that of its attempt, so that each late bill of a request is told from the others.
    """

    ending: Ending
    charges: tuple[Charge, ...]
    customer: Charge | None = None
    place: int = 0


class Entry(msgspec.Struct, eq=False):
    """One attempt while its request runs: `usage` as told so far, `output_bytes` as they came.

    `whole`: its answer has been read to the end, so that nothing more will be told.
    """

    run: Run
    role: Role
    usage: Usage | None = None
    output_bytes: int = 0
    whole: bool = False


class Books(msgspec.Struct, eq=False):
    """The books of one request, which is `whose`.

    `prompt_tokens`: the estimate of what the prompt costs to read. `tokens_of(bytes)`: the tokens that so
    much text of the model amounts to.
    """

    whose: Whose
    _prompt_tokens: int
    _tokens_of: Callable[[int], int]
    _entries: list[Entry] = []
    _rescuing: bool = False
    _bill: Bill | None = None

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

    def note(self, run: Run, usage: Usage | None, output_bytes: int, *, whole: bool) -> None:
        """Note what an attempt has used so far; `whole`: that is all."""
        entry = self._entries[self._place_of(run)]
        entry.usage, entry.output_bytes, entry.whole = usage, output_bytes, whole

    def close(self, ending: Ending) -> Bill:
        """Return the bill. Every attempt has ended by now, but for those that are drained."""
        paid = self._paid() if ending != "failed" else None
        charges, customer = [], None
        for entry in self._entries:
            if entry is paid:
                charge = customer = self._charge(entry, "customer", self._of_customer(entry))
            else:
                charge = self._charge(entry, "operator", self._of_operator(entry, paid))
            charges.append(charge)
        self._bill = Bill(ending, tuple(charges), customer)
        return self._bill

    def drained(self, run: Run, usage: Usage) -> Bill | None:
        """Note the usage of an attempt that was read on after nobody waited for it any more.

        Where the bill is closed already, return a later one for what goes beyond it, if anything does. That
        is the operator's, since the customer has been charged.
        """
        place = self._place_of(run)
        entry = self._entries[place]
        if self._bill is None:
            entry.usage = usage
            return None
        billed = self._bill.charges[place]
        if _went_on(entry):
            billed = self._bill.customer or billed  # a rescuer tells of the whole answer
        rest = _beyond(usage, billed.usage)
        if rest == _NOTHING:
            return None
        return Bill("drained", (self._charge(entry, "operator", rest),), place=place)

    @property
    def attempts(self) -> int:
        """How many attempts were begun so far."""
        return len(self._entries)

    @property
    def so_far(self) -> Usage:
        """What the customer would pay for if the answer ended here. It must have begun."""
        return self._of_customer(next(e for e in self._entries if e.run.has_committed))

    def output_bytes(self) -> int:
        """Return how much the client has been given by all who wrote on its answer."""
        return sum(entry.output_bytes for entry in self._entries if entry.run.has_committed)

    def _place_of(self, run: Run) -> int:
        for place, entry in enumerate(self._entries):
            if entry.run is run:
                return place
        raise LookupError("an attempt that was never entered")

    def _paid(self) -> Entry | None:
        """Return whose model the customer pays: who began the answer, else who had been asked for it."""
        asked = None
        for entry in self._entries:
            if entry.run.has_committed:
                return entry
            if asked is None and _was_given_up(entry):
                asked = entry
        return asked

    def _of_customer(self, paid: Entry) -> Usage:
        """Return the usage of the answer as the client has it; a rescuer tells it for the whole."""
        last = paid
        if self._rescuing:
            last = next((entry for entry in self._entries if _went_on(entry)), paid)
        told = last.usage
        if told is not None and self._tells_all(last, told):
            return told
        produced = self._output_tokens(paid)
        if last is not paid:
            produced += self._tokens_of(last.output_bytes)
        return self._estimated(paid, produced)

    def _tells_all(self, entry: Entry, told: Usage) -> bool:
        """Whether what the provider told can be all: no text comes of no token, and none goes uncounted."""
        if not entry.output_bytes:
            return True
        return told.output_tokens >= (1 if entry.whole else self._tokens_of(entry.output_bytes))

    def _of_operator(self, entry: Entry, paid: Entry | None) -> Usage:
        if entry.usage is None and entry.run.spent is not None:
            return entry.run.spent  # of a call in pieces, those before the one that failed
        if entry.run.fate is Fate.REFUSED or not entry.run.has_asked:
            return _NOTHING  # a provider reads nothing of what it refuses
        if entry.role is Role.RESCUE:
            return self._of_rescuer(entry, paid)
        if entry.usage is not None:
            return entry.usage
        return self._estimated(entry, self._output_tokens(entry))

    def _of_rescuer(self, entry: Entry, paid: Entry | None) -> Usage:
        """Return what it read, and what it wrote where no customer pays for that."""
        broken = next(other for other in self._entries if other.run.has_committed)
        wrote = self._tokens_of(entry.output_bytes) if paid is None else 0
        read = self._prompt_tokens + self._output_tokens(broken)
        return Usage(input_tokens=read, output_tokens=wrote, estimated=True)

    def _output_tokens(self, entry: Entry) -> int:
        told = entry.usage.output_tokens if entry.usage is not None else 0
        return max(told, self._tokens_of(entry.output_bytes))

    def _estimated(self, entry: Entry, produced: int) -> Usage:
        told = entry.usage.input_tokens if entry.usage is not None else 0
        return Usage(
            input_tokens=told or self._prompt_tokens, output_tokens=produced, estimated=True
        )

    def _charge(self, entry: Entry, payer: Payer, usage: Usage) -> Charge:
        endpoint = entry.run.live.endpoint
        return Charge(
            provider=endpoint.provider,
            model=endpoint.target.served_model,
            upstream_model=endpoint.target.upstream_model,
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
        cache_write_tokens=max(0, usage.cache_write_tokens - billed.cache_write_tokens),
        reasoning_tokens=max(0, usage.reasoning_tokens - billed.reasoning_tokens),
    )


def _was_given_up(entry: Entry) -> bool:
    return entry.run.fate is Fate.ABANDONED and entry.run.has_asked


def _went_on(entry: Entry) -> bool:
    return entry.role is Role.RESCUE and entry.run.has_committed
