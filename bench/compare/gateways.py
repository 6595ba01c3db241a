"""Other gateways, each with as little switched on as it can do with: no keys, no store, no logs."""

from pathlib import Path
from typing import Final

from bench.compare.cache import Cache
from bench.compare.contestant import MODEL, Place, Start
from router.loadtest.target import Target

_LITELLM: Final = """\
model_list:
  - model_name: {model}
    litellm_params:
      model: openai/{model}
      api_base: {upstream}
      api_key: none
litellm_settings:
  telemetry: false
  set_verbose: false
  num_retries: 0
  request_timeout: 600
general_settings:
  disable_spend_logs: true
  dangerously_permit_weak_or_unset_master_key: true
"""

_TENSORZERO: Final = """\
[gateway]
observability.enabled = false

[models.{model}]
routing = ["mock"]

[models.{model}.providers.mock]
type = "openai"
model_name = "{model}"
api_base = "{upstream}/"
api_key_location = "none"
"""

_TENSORZERO_SERVER: Final = """\
import signal
import sys

import tensorzero

config, listing = sys.argv[1:]
gateway = tensorzero._start_http_gateway(
    config_file=config, clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
)
with open(listing, "w") as file:
    file.write(gateway.base_url)
signal.pause()
"""


class LiteLLM:
    """LiteLLM's proxy: one worker, no database, no master key."""

    name = "litellm"
    kind = "gateway"

    def install(self, cache: Cache) -> str:
        """Install it with what its proxy needs."""
        return cache.python_package(self.name, "litellm[proxy]")[1]

    def start(self, cache: Cache, place: Place) -> Start:
        """Write its list of models."""
        python, _ = cache.python_package(self.name, "litellm[proxy]")
        config = place.folder / "litellm.yaml"
        config.write_text(
            _LITELLM.format(model=MODEL, upstream=place.upstream_url), encoding="utf-8"
        )
        command = [str(python.with_name("litellm")), "--config", str(config), "--num_workers", "1"]
        quiet = {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_DOCS": "True"}
        address = ["--host", "127.0.0.1", "--port", str(place.port), "--telemetry", "False"]
        return Start([*command, *address], _target(place), quiet)


class Portkey:
    """Portkey's gateway on Node; the upstream is named in headers of each request."""

    name = "portkey"
    kind = "gateway"
    _package = "@portkey-ai/gateway"
    # Later ones, which its range allows too, hand it a response whose headers it cannot change, and then
    # every stream fails.
    _overrides: Final = {"@hono/node-server": "1.13.8"}

    def install(self, cache: Cache) -> str:
        """Install the Node package."""
        return self._installed(cache)[1]

    def start(self, cache: Cache, place: Place) -> Start:
        """Without its web pages."""
        home, _ = self._installed(cache)
        command = ["node", str(home / "build" / "start-server.js"), f"--port={place.port}"]
        headers = (
            ("x-portkey-provider", "openai"),
            ("x-portkey-custom-host", place.upstream_url),
        )
        target = Target("127.0.0.1", place.port, "/v1", "none", MODEL, headers=headers)
        return Start([*command, "--headless"], target, {"NODE_ENV": "production"})

    def _installed(self, cache: Cache) -> tuple[Path, str]:
        return cache.node_package(self.name, self._package, overrides=self._overrides)


class TensorZero:
    """TensorZero's gateway as its Python package embeds it, in Rust, without observability."""

    name = "tensorzero"
    kind = "gateway"

    def install(self, cache: Cache) -> str:
        """Install the wheel."""
        return cache.python_package(self.name, "tensorzero")[1]

    def start(self, cache: Cache, place: Place) -> Start:
        """Write its configuration, and the few lines that start it. It picks its port itself."""
        python, _ = cache.python_package(self.name, "tensorzero")
        config = place.folder / "tensorzero.toml"
        config.write_text(
            _TENSORZERO.format(model=MODEL, upstream=place.upstream_url), encoding="utf-8"
        )
        server = place.folder / "serve.py"
        server.write_text(_TENSORZERO_SERVER, encoding="utf-8")
        listing = place.folder / "address"
        command = [str(python), str(server), str(config), str(listing)]
        model = f"tensorzero::model_name::{MODEL}"
        return Start(command, Target("127.0.0.1", 0, "/v1", "none", model), listing=listing)


def _target(place: Place) -> Target:
    return Target("127.0.0.1", place.port, "/v1", "none", MODEL)
