"""The shape of the configuration: every table, every key, its type and its default.

The structs are frozen and refuse unknown keys. A rule that a type cannot express is attached to it
by `Check`. Durations are float seconds.
"""

from typing import Annotated, Final, Literal

import msgspec

from router.config import rules
from router.config.decode import Check
from router.config.secret import HeaderValue, Secret

MIB: Final = 1024 * 1024

# A day is longer than any wait that makes sense, and keeps out `inf`.
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Count = Annotated[int, msgspec.Meta(gt=0, le=2**62)]
ModelName = Annotated[str, Check(rules.model_name)]
HeaderName = Annotated[str, Check(rules.header_name)]
VisibleText = Annotated[str, Check(rules.visible)]
UrlPath = Annotated[str, Check(rules.url_path)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class ServerConfig(Section, frozen=True):
    """Where and how clients are served.

    `keep_alive_seconds` bounds the wait for a whole request head, `body_seconds` the reading of its
    body. When told to stop, the gateway says so on `/readyz` and goes on accepting connections for
    `lame_duck_seconds`; then what is in flight has `drain_seconds` to end. A client that takes
    nothing for `write_seconds` is dropped, and a stream that is silent for
    `keepalive_comment_seconds` gets an SSE comment.
    """

    bind: Annotated[list[Annotated[str, Check(rules.bind_address)]], msgspec.Meta(min_length=1)] = (
        msgspec.field(default_factory=lambda: ["127.0.0.1:8080"])
    )
    tls_certificate: str | None = None
    tls_key: str | None = None
    max_body_bytes: Count = 64 * MIB
    body_seconds: Seconds = 120.0
    write_seconds: Seconds = 30.0
    keep_alive_seconds: Seconds = 75.0
    lame_duck_seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 0.0
    drain_seconds: Seconds = 60.0
    keepalive_comment_seconds: Seconds = 15.0
    cors_origins: list[Annotated[str, Check(rules.origin)]] = msgspec.field(
        default_factory=lambda: ["*"]
    )


class StoreConfig(Section, frozen=True):
    """Where keys and accounts are kept. `load_config` fills in the default path."""

    path: Annotated[str, msgspec.Meta(min_length=1)] | None = None


class TimeoutConfig(Section, frozen=True):
    """Patience with an upstream: to connect, to the first byte, between two bytes, in all."""

    connect: Seconds = 10.0
    first_byte: Seconds = 300.0
    idle: Seconds = 120.0
    total: Seconds = 1800.0


class PathConfig(Section, frozen=True):
    """What follows the base URL for each kind of request."""

    chat: UrlPath = "/chat/completions"
    completions: UrlPath = "/completions"
    embeddings: UrlPath = "/embeddings"
    models: UrlPath = "/models"


class ModelEntry(Section, frozen=True):
    """One model of a provider: `upstream` as the provider calls it, `id` as clients do.

    Without an `id` clients call it `provider/upstream`. The same `id` at several providers makes
    one model with several candidates, in the order of the file.
    """

    upstream: ModelName
    id: ModelName | None = None


class ProviderConfig(Section, frozen=True):
    """One upstream provider. A known provider's name alone suffices; see `adapters.providers`.

    `key` is sent in `key_header`, as a bearer token if that is `authorization`. `models` as `None`
    means what the catalog knows for the name; `discover` asks the provider for its list. After
    loading, `base_url`, `discover` and `timeouts` are always set.
    """

    dialect: Annotated[str, Check(rules.dialect)] = "openai"
    base_url: Annotated[str, Check(rules.base_url)] | None = None
    key: Secret | None = None
    key_header: HeaderName = "authorization"
    headers: dict[HeaderName, HeaderValue] = {}
    query: dict[VisibleText, VisibleText] = {}
    paths: PathConfig = PathConfig()
    models: list[ModelName | ModelEntry] | None = None
    discover: bool | None = None
    stream_usage: bool = True
    timeouts: TimeoutConfig | None = None
    max_connections: Count = 10_000


class AliasConfig(Section, frozen=True):
    """Another name for a model: `target` is the id it stands for."""

    target: ModelName


class LogConfig(Section, frozen=True):
    """`auto` writes for people on a terminal and JSON lines everywhere else."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console", "auto"] = "auto"


class MetricsConfig(Section, frozen=True):
    """Whether Prometheus metrics are served."""

    enabled: bool = True


class Config(Section, frozen=True):
    """The whole configuration. `models` are the aliases, by name."""

    server: ServerConfig = ServerConfig()
    store: StoreConfig = StoreConfig()
    timeouts: TimeoutConfig = TimeoutConfig()
    providers: dict[Annotated[str, Check(rules.provider_name)], ProviderConfig] = {}
    models: dict[ModelName, AliasConfig] = {}
    log: LogConfig = LogConfig()
    metrics: MetricsConfig = MetricsConfig()
