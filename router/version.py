"""Which version of the gateway this is, and what it calls itself to others."""

from importlib.metadata import version
from typing import Final

VERSION: Final = version("syzeai")
USER_AGENT: Final = f"syzeai/{VERSION}"
