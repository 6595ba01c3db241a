"""Providers that embed and rank, each as strict as the real one about what it is asked."""

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from adapters.dialect_preset import DIALECT_PRESETS
from router.config import Config, ModelConfig, PathConfig, ProviderConfig, RaceConfig, Secret
from router.simulator import Simulator
from router.simulator.counts import SeenRequest
from router.simulator.performance import JSON, Ending, Head, Performance
from tests.simulated.world import World

Json = dict[str, Any]

MODELS = {"cohere": "rerank-v5.0-fast", "jina": "jina-reranker-v3", "voyage": "rerank-2.5"}
TOKENS_PER_DOCUMENT = 10

# The fields that each takes, and no other; those that it must have come first.
_FIELDS: Mapping[str, tuple[set[str], set[str]]] = {
    "cohere": ({"model", "query", "documents"}, {"top_n", "max_tokens_per_doc", "priority"}),
    "jina": ({"model", "query", "documents"}, {"top_n", "return_documents", "truncate"}),
    "voyage": ({"model", "query", "documents"}, {"top_k", "return_documents", "truncation"}),
}


class Ranker(Simulator):
    """Ranks texts by how often the letter `x` stands in them. `failures` are answered first."""

    def __init__(self, dialect: str, *failures: int, counts: bool = True) -> None:
        super().__init__()
        self._dialect_name = dialect
        self._planned_failures = list(failures)
        self._tells_tokens = counts

    def answer(self, request: SeenRequest) -> Performance:
        self.requests.append(request)
        if self._planned_failures:
            return _performance(self._planned_failures.pop(0), {"detail": "not now"})
        asked = request.json()
        must, may = _FIELDS[self._dialect_name]
        if not must <= asked.keys() or asked.keys() - must - may:
            return _performance(422, {"detail": f"unexpected fields: {sorted(asked)}"})
        most = asked.get("top_n", asked.get("top_k", len(asked["documents"])))
        scores = [document.count("x") / len(document) for document in asked["documents"]]
        order = sorted(range(len(scores)), key=lambda place: -scores[place])[:most]
        results = [{"index": at, "relevance_score": scores[at]} for at in order]
        return _performance(200, self._told(results, len(scores)))

    def _told(self, results: list[Json], documents: int) -> Json:
        tokens = documents * TOKENS_PER_DOCUMENT
        if self._dialect_name == "cohere":
            told = {"tokens": {"input_tokens": tokens}} if self._tells_tokens else {}
            meta = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}, **told}
            return {"id": "c", "results": results, "meta": meta}
        usage = {"usage": {"total_tokens": tokens}} if self._tells_tokens else {}
        name = "data" if self._dialect_name == "voyage" else "results"
        return {"object": "list", "model": "m", name: results, **usage}


def _performance(status: int, answer: Json) -> Performance:
    body = msgspec.json.encode(answer)
    return Performance(0.0, Head(status, JSON, len(body)), [(0.0, body, Ending.COMPLETE)])


def ranking_config(*names: str) -> Config:
    """The id `ranker` at the providers named; who is named first is asked first."""
    return Config(
        providers={name: _provider(name, 1000.0 ** (2 - 2 * at)) for at, name in enumerate(names)},
        models={"ranker": ModelConfig(targets=[f"{name}/{MODELS[name]}" for name in names])},
        race=RaceConfig(hedge=False),
    )


def _provider(name: str, weight: float) -> ProviderConfig:
    return ProviderConfig(
        dialect=name,
        base_url=f"http://{name}/v1",
        key=Secret("an-upstream-key"),
        paths=PathConfig(**dict(DIALECT_PRESETS[name].paths)),
        discover=False,
        models=[MODELS[name]],
        weight=weight,
    )


def put_ranker(world: World, name: str, *failures: int, counts: bool = True) -> Ranker:
    """Let a ranker serve the host of that name, after it has failed with these statuses."""
    ranker = Ranker(name, *failures, counts=counts)
    cast("dict[str, Simulator]", world.simulators)[name] = ranker
    return ranker
