"""The model list, and the refusal of models that are not on it."""

from typing import Any, Final

from router.simulator.profile import Profile
from router.simulator.refusal import Refusal

SHOWN: Final = ("simulated-large", "simulated-small", "text-embedding-3-small")
"""What a provider that accepts every id lists, for a list must say something."""
_CREATED: Final = 1_767_225_600


def list_answer(profile: Profile) -> dict[str, Any]:
    """The answer to GET models."""
    ids = SHOWN if profile.models is None else profile.models
    return {"object": "list", "data": [_card(model) for model in ids]}


def model_answer(profile: Profile, model: str) -> dict[str, Any]:
    """The answer to GET models/{id}; raises Refusal for an unknown id."""
    check_known(profile, model)
    return _card(model)


def check_known(profile: Profile, model: str) -> None:
    """Raise Refusal (404) unless the provider has this model."""
    if profile.models is not None and model not in profile.models:
        message = f"The model '{model}' does not exist or you do not have access to it."
        raise Refusal(404, message, param="model", code="model_not_found")


def _card(model: str) -> dict[str, Any]:
    return {"id": model, "object": "model", "created": _CREATED, "owned_by": "simulator"}
