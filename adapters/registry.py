"""The one place where a dialect's name becomes a dialect."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from adapters.dialect import Dialect
from adapters.openai import OpenAIDialect

DIALECTS: Final[Mapping[str, Dialect]] = MappingProxyType({"openai": OpenAIDialect()})
