"""Who pays for what (I4), over random schedules of faults, departures, slow readers, hedges and rescues.

One example is one world with a burst of requests. Each bill is held against what its client has and against
what the simulated providers say that they produced. Estimates cannot be exact; what is known of them is that
a token is between one and eight bytes of text.
"""

from collections import Counter
from random import Random
from typing import Any

import msgspec
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.dialect import Usage
from router.config import Config, ModelConfig, ProviderConfig, RaceConfig, TimeoutConfig
from router.exchange.books import Bill, Charge, Role
from router.exchange.live import Fate
from router.simulator import Behaviour, Latency, Profile
from tests.conftest import SIZE
from tests.properties.test_race_schedules import FAULTS, REQUESTS, Visitor
from tests.simulated.provider_side import Asked, WatchedSimulator
from tests.simulated.world import Billed, BookedGateway, World, in_virtual_time, open_world

WORLDS = 20 * SIZE  # 1,000 requests in the ordinary run
PROFILE = Profile(ttft=Latency.lognormal(0.3, 0.5), gap=Latency.lognormal(0.1, 0.5), tokens=12)
MOST_BYTES_PER_TOKEN = 8
DRAIN_SECONDS = 5.0
MODEL = "claude-haiku-4-5"
HOSTS = {"first": "a", "second": "b", "anthropic": "c"}  # the last one takes a prefill
FAILED = {Fate.REFUSED, Fate.SILENT, Fate.BROKEN}
UNREADABLE = ("gzip", "body_split")  # for the provider's side of this test
TROUBLE = [
    *(fault for fault in FAULTS if not set(UNREADABLE) & set(fault)),
    {"cut_after": 3},
    {"cut_after": 8, "omit_usage": True},
    {"omit_usage": True},
    {"omit_usage": True},
    {"usage_on_last_chunk": True},
    {"error_event_after": 6, "error": {"message": "no", "code": "content_filter"}},
]


def config(pool: str, *fallbacks: str, hedge: bool | float = 0.4, **race: Any) -> Config:
    providers = {
        name: ProviderConfig(
            base_url=f"http://{host}/v1",
            discover=False,
            models=[MODEL],
            timeouts=TimeoutConfig(connect=5, first_byte=10, idle=5, total=60),
        )
        for name, host in HOSTS.items()
    }
    route = ModelConfig(
        targets=[f"{name}/{MODEL}" for name in pool.split()],
        fallbacks=[f"{name}/{MODEL}" for name in fallbacks],
        hedge=hedge,
    )
    return Config(providers=providers, models={"m": route}, race=RaceConfig(**race))


CONFIGS = [
    config("first second", "anthropic", budget_ratio=1.0),
    config("first second anthropic", budget_ratio=0.5, patience=1.0, slow_first_token=2.0),
    config("first", "anthropic", hedge=False),
    config("first second", "anthropic", budget_ratio=1.0, drain_seconds=DRAIN_SECONDS),
]


class Case:
    """One request: its client, its bill, and what each provider was asked for it."""

    def __init__(self, visitor: Visitor, billed: Billed, asked: dict[str, list[Asked]]) -> None:
        self.visitor = visitor
        self.record, self.bill, self.at = billed
        self.asked = asked

    @property
    def is_whole(self) -> bool:
        answer = self.visitor.client.answer
        return answer.status == 200 and answer.finished

    @property
    def is_rescued(self) -> bool:
        return self.record.rescuer is not None

    def told_to_client(self) -> tuple[int, int] | None:
        """The usage that the client was told."""
        told = [part["usage"] for part in self._parts() if part.get("usage")]
        return (told[-1]["prompt_tokens"], told[-1]["completion_tokens"]) if told else None

    def pieces(self) -> list[str]:
        """The text that the client has; a piece is a token."""
        choices = [choice for part in self._parts() for choice in part.get("choices", ())]
        said = [(choice.get("delta") or choice.get("message") or {}) for choice in choices]
        return [one["content"] for one in said if one.get("content")]

    def text_bytes(self) -> int:
        return sum(len(msgspec.json.encode(piece)) - 2 for piece in self.pieces())

    def attempts_at(self, charge: Charge) -> list[Asked]:
        return self.asked.get(charge.provider, [])

    def _parts(self) -> list[Any]:
        answer = self.visitor.client.answer
        if not self.visitor.stream:
            return [answer.json()] if answer.finished else []
        return [msgspec.json.decode(event) for event in answer.events() if event != b"[DONE]"]


def counted(usage: Usage) -> tuple[int, int]:
    return usage.input_tokens, usage.output_tokens


def check(case: Case) -> None:
    """All that I4 says of one request."""
    bill, record = case.bill, case.record
    assert len(bill.charges) == record.attempts
    assert sum(charge.payer == "customer" for charge in bill.charges) <= 1
    assert bill.ending == "whole" or not case.is_whole
    if bill.ending == "whole":
        assert case.is_whole or case.visitor.left  # in the very moment of its last bytes
        check_whole(case, charged(bill))
    elif bill.ending == "failed":
        assert bill.customer is None
        fates = {charge.fate for charge in bill.charges}
        assert Fate.SERVED not in fates
        # A client may leave while it is being told of a failure.
        assert record.outcome != "client_gone" or fates & FAILED
    else:
        assert bill.ending == "left"
        assert case.visitor.left
        check_left(case)
    for charge in bill.charges:
        if charge.payer == "operator":
            check_operators(case, charge)
    check_prompts(case)


def charged(bill: Bill) -> Charge:
    assert bill.customer is not None
    return bill.customer


def check_whole(case: Case, charge: Charge) -> None:
    """The customer pays what the provider counted, or what is estimated and marked as such."""
    assert charge.fate is (Fate.BROKEN if case.is_rescued else Fate.SERVED)
    assert charge.provider == case.record.provider
    assert charge.role is (Role.HEDGE if case.record.hedged else charge.role)
    told = case.told_to_client()
    if not case.is_whole:
        told = told or counted(charge.usage)
    elif told is None:
        assert charge.usage.estimated
        assert_estimates(charge.usage, least=case.text_bytes(), most=case.text_bytes())
        assert None in {asked.usage(case.at) for asked in served_by(case)}
    if told is None or (not case.is_whole and charge.usage.estimated):
        return
    assert counted(charge.usage) == told
    assert charge.usage.output_tokens == 12
    if case.is_rescued:
        assert charge.usage.estimated
        assert len(case.pieces()) == 12 or not case.is_whole
    else:
        assert not charge.usage.estimated
        assert told in {asked.usage(case.at) for asked in case.attempts_at(charge)}


def served_by(case: Case) -> list[Asked]:
    last = case.record.rescuer or case.record.provider
    assert last is not None
    return case.asked[last]


def check_left(case: Case) -> None:
    """The customer pays for what it has at least, and for what was produced at most."""
    charge = case.bill.customer
    given_up = [one for one in case.bill.charges if one.fate is Fate.ABANDONED]
    if charge is None:
        assert not case.pieces()
        # Nobody was at work, or had been asked yet.
        assert all(counted(one.usage) == (0, 0) for one in given_up)
        return
    assert charge.fate in {Fate.ABANDONED, Fate.BROKEN, Fate.SERVED}
    asked = [*case.attempts_at(charge), *(served_by(case) if case.is_rescued else ())]
    if charge.usage.estimated:
        produced = sum(one.text_bytes(case.at) for one in asked)
        assert_estimates(charge.usage, least=case.text_bytes(), most=produced)
    else:
        assert counted(charge.usage) in {one.usage(case.at) for one in asked}
        assert charge.usage.output_tokens >= len(case.pieces())


def assert_estimates(usage: Usage, *, least: int, most: int) -> None:
    assert least // MOST_BYTES_PER_TOKEN <= usage.output_tokens <= most


def check_operators(case: Case, charge: Charge) -> None:
    """What the customer does not pay is entered all the same, and never more than was produced."""
    asked = case.attempts_at(charge)
    if charge.fate is Fate.REFUSED:
        assert counted(charge.usage) == (0, 0)
    elif charge.role is Role.RESCUE and case.bill.customer is not None:
        assert charge.usage.estimated
        assert charge.usage.output_tokens == 0
    elif charge.usage.estimated:
        produced = sum(one.text_bytes(case.at) for one in asked)
        assert charge.usage.output_tokens <= produced
    elif counted(charge.usage) != (0, 0):
        assert counted(charge.usage) in {one.usage(case.at) for one in asked}


def check_prompts(case: Case) -> None:
    """A prompt is paid for once: all who estimate it say the same, and no more than it has bytes."""
    body = case.visitor.name.encode()  # the rest is the same for all
    prompts = {
        charge.usage.input_tokens
        for charge in case.bill.charges
        if charge.usage.estimated and charge.role is not Role.RESCUE and not case.is_rescued
    }
    assert len(prompts) <= 1
    assert all(prompt <= 200 + len(body) for prompt in prompts)


async def burst(world: World, rng: Random) -> list[Visitor]:
    number = rng.getrandbits(64)
    names = [f"00-{number:016x}{n:016x}-00000000000000ff-00" for n in range(REQUESTS)]
    visitors = [Visitor(rng, name) for name in names]
    async with trio.open_nursery() as nursery:
        for visitor in visitors:
            nursery.start_soon(visitor.visit, world)
    return visitors


def cases(world: World, visitors: list[Visitor]) -> list[Case]:
    """Put together what belongs together; a request that was given up before it was served has no bill."""
    bills = {billed.record.traceparent: billed for billed in world.gateway.bills}
    assert len(bills) == len(world.gateway.bills)
    found = []
    for visitor in visitors:
        asked = {name: asked_by(world, host, visitor) for name, host in HOSTS.items()}
        if visitor.name in bills:
            found.append(Case(visitor, bills[visitor.name], asked))
        else:
            assert visitor.left
            assert not any(asked.values())
    return found


def asked_by(world: World, host: str, visitor: Visitor) -> list[Asked]:
    simulator = world.simulators[host]
    assert isinstance(simulator, WatchedSimulator)
    return [one for one in simulator.asked if one.name == visitor.name.encode()]


async def one_world(seed: int) -> list[Case]:
    rng = Random(seed)
    config = rng.choice(CONFIGS)
    trouble = rng.choice([0.1, 0.3, 0.7])
    async with open_world(PROFILE, config=config, hosts="abc", rng=Random(seed)) as world:
        world.simulators = {host: WatchedSimulator(PROFILE, seed=seed) for host in "abc"}
        for simulator in world.simulators.values():
            plans = (rng.choice(TROUBLE) if rng.random() < trouble else {} for _ in range(500))
            simulator.plan(*(Behaviour(**plan) for plan in plans))
        async with trio.open_nursery() as nursery:
            await nursery.start(world.gateway.drains.run)
            visitors = await burst(world, rng)
            await trio.sleep(DRAIN_SECONDS + 1)
            await world.leak_check()
            nursery.cancel_scope.cancel()
        found = cases(world, visitors)
        for case in found:
            check(case)
        check_late(world.gateway)
        check_attempts(world, found)
        return found


def check_late(gateway: BookedGateway) -> None:
    """What is found out later is the operator's, and a provider's own count."""
    for bill in gateway.late:
        (charge,) = bill.charges
        assert charge.payer == "operator"
        assert min(counted(charge.usage)) >= 0
        assert max(counted(charge.usage)) > 0


def check_attempts(world: World, found: list[Case]) -> None:
    """Every attempt is charged once; what a provider got besides was sent again on a fresh connection."""
    charges: Counter[str] = Counter()
    for case in found:
        charges.update(charge.provider for charge in case.bill.charges)
    for name, host in HOSTS.items():
        simulator = world.simulators[host]
        assert isinstance(simulator, WatchedSimulator)
        assert len(simulator.asked) <= charges[name] + simulator.broken


@settings(max_examples=WORLDS)
@given(st.integers(min_value=0, max_value=2**32))
def test_i4_everybody_pays_for_what_is_theirs_over_random_schedules(seed: int) -> None:
    in_virtual_time(lambda: _discarding(seed))


async def _discarding(seed: int) -> None:
    await one_world(seed)


def test_the_schedules_meet_everything_that_a_bill_can_say() -> None:
    """Otherwise the property above would hold for want of anything happening."""
    met: Counter[str] = Counter()

    async def scenario() -> None:
        for seed in range(8):
            for case in await one_world(seed):
                met.update(traits(case))

    in_virtual_time(scenario)
    assert set(TRAITS) <= set(met), set(TRAITS) - set(met)


TRAITS = [
    "whole and told",
    "whole and estimated",
    "rescued",
    "left for nothing",
    "left with the prompt",
    "left with text",
    "failed",
    "cut",
    "operator: first abandoned",
    "operator: hedge abandoned",
    "operator: hedge refused",
    "operator: first silent",
    "operator: first broken",
    "operator: rescue served",
    "operator: rescue refused",
    "operator: retry refused",
]


def traits(case: Case) -> list[str]:
    bill = case.bill
    operators = [charge for charge in bill.charges if charge.payer == "operator"]
    return [*(f"operator: {one.role} {one.fate}" for one in operators), trait(case)]


def trait(case: Case) -> str:
    customer = case.bill.customer
    if case.bill.ending == "whole":
        told = case.told_to_client() is not None
        if case.is_rescued:
            return "rescued" if told else "rescued and estimated"
        return "whole and told" if told else "whole and estimated"
    if case.bill.ending == "failed":
        return "cut" if case.pieces() else "failed"
    if customer is None:
        return "left for nothing"
    if not customer.usage.estimated:
        return "left, and all was told"
    return "left with text" if customer.usage.output_tokens else "left with the prompt"


def test_the_counters_of_attempts_agree_with_the_bills() -> None:
    async def scenario() -> None:
        config = CONFIGS[3]
        rng = Random(2)
        async with open_world(PROFILE, config=config, hosts="abc", rng=rng) as world:
            for simulator in world.simulators.values():
                simulator.plan(*(Behaviour(**rng.choice([{}, *TROUBLE])) for _ in range(500)))
            async with trio.open_nursery() as nursery:
                await nursery.start(world.gateway.drains.run)
                await burst(world, rng)
                await trio.sleep(DRAIN_SECONDS + 1)
                nursery.cancel_scope.cancel()
            gateway = world.gateway
            bills = [billed.bill for billed in gateway.bills]
            text = gateway.metrics.render()[0].decode()
            assert summed(text, "syze_attempts_total") == sum(len(one.charges) for one in bills)
            for payer in ("customer", "operator"):
                assert summed(text, "syze_attempt_tokens_total", f'payer="{payer}"') == sum(
                    sum(counted(charge.usage))
                    for bill in [*bills, *gateway.late]
                    for charge in bill.charges
                    if charge.payer == payer
                )
            assert gateway.late

    in_virtual_time(scenario)


def summed(text: str, name: str, label: str = "") -> float:
    lines = [line for line in text.splitlines() if line.startswith(name) and label in line]
    return sum(float(line.rpartition(" ")[2]) for line in lines)
