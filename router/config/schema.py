"""The shape of the configuration: every table, every key, its type and its default.

The structs are frozen and refuse unknown keys. A rule that a type cannot express is attached to it
by `Check`. Durations are float seconds.
"""

from typing import Annotated, Final, Literal

import msgspec

from router.config import rules
from router.config.decode import Check
from router.config.secret import DatabaseUrl, HeaderValue, LongSecret, Secret

MIB: Final = 1024 * 1024

# A day is longer than any wait that makes sense, and keeps out `inf`.
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Count = Annotated[int, msgspec.Meta(gt=0, le=2**62)]
Weight = Annotated[float, msgspec.Meta(gt=0, le=1_000_000)]
# What the ledger takes for a price, and for a markup: neither NaN nor a slip of the keyboard.
UsdPerMtok = Annotated[float, msgspec.Meta(ge=0, le=10_000)]
Markup = Annotated[float, msgspec.Meta(gt=0, le=100)]
ModelName = Annotated[str, Check(rules.model_name)]
HeaderName = Annotated[str, Check(rules.header_name)]
VisibleText = Annotated[str, Check(rules.visible)]
UrlPath = Annotated[str, Check(rules.url_path)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class ServerConfig(Section, frozen=True):
    """Where and how clients are served: on the addresses of `bind`, by `workers` processes.

    `keep_alive_seconds` bounds the wait for a whole request head, `body_seconds` the reading of its
    body. When told to stop, the gateway says so on `/readyz` and goes on accepting connections for
    `lame_duck_seconds`; then what is in flight has `drain_seconds` to end. A client that takes
    nothing for `write_seconds` is dropped, and a stream that is silent for
    `keepalive_comment_seconds` gets an SSE comment. `http1` names who speaks HTTP/1.1; `http2`: whether
    that is spoken as well. `relay`: whether one task carries all streams that are only to be passed on
    ("pump", where the machine has epoll), or each has its own ("task").
    """

    bind: Annotated[list[Annotated[str, Check(rules.bind_address)]], msgspec.Meta(min_length=1)] = (
        msgspec.field(default_factory=lambda: ["127.0.0.1:8080"])
    )
    workers: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    tls_certificate: str | None = None
    tls_key: str | None = None
    max_body_bytes: Count = 64 * MIB
    body_seconds: Seconds = 120.0
    write_seconds: Seconds = 30.0
    http1: Literal["lean", "hypercorn"] = "lean"
    http2: bool = True
    keep_alive_seconds: Seconds = 75.0
    lame_duck_seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 0.0
    drain_seconds: Seconds = 60.0
    keepalive_comment_seconds: Seconds = 15.0
    relay: Literal["pump", "task"] = "pump"
    cors_origins: list[Annotated[str, Check(rules.origin)]] = msgspec.field(
        default_factory=lambda: ["*"]
    )


class StoreConfig(Section, frozen=True):
    """Where accounts and keys are kept: an SQLite file at `path`, or PostgreSQL at `url`.

    After loading, exactly one of them is set. The URL is a secret, as it holds a password.
    """

    path: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    url: DatabaseUrl | None = None


class TimeoutConfig(Section, frozen=True):
    """Patience with an upstream: to connect, to the first byte, between two bytes, in all."""

    connect: Seconds = 10.0
    first_byte: Seconds = 300.0
    idle: Seconds = 120.0
    total: Seconds = 1800.0


class TimeoutOverrides(Section, frozen=True):
    """The timeouts that a model has for itself; what is `None` stays as the provider has it."""

    connect: Seconds | None = None
    first_byte: Seconds | None = None
    idle: Seconds | None = None
    total: Seconds | None = None

    def over(self, timeouts: TimeoutConfig) -> TimeoutConfig:
        """Return `timeouts` with what is set here in its place."""
        written = msgspec.structs.asdict(self)
        own = {name: value for name, value in written.items() if value is not None}
        return msgspec.structs.replace(timeouts, **own)


class PathConfig(Section, frozen=True):
    """What follows the base URL for each kind of request.

    Without a path for `responses`, clients of Responses are answered by way of `chat`.
    """

    chat: UrlPath = "/chat/completions"
    completions: UrlPath = "/completions"
    embeddings: UrlPath = "/embeddings"
    rerank: UrlPath = "/rerank"
    responses: UrlPath | None = None
    models: UrlPath = "/models"


class ModelEntry(Section, frozen=True):
    """One model of a provider: `upstream` as the provider calls it, `id` as clients do.

    Without an `id` clients call it `provider/upstream`. The same `id` at several providers makes
    one model with several candidates, in the order of the file. `prefill` says whether it writes on from
    an assistant's message that stands last; `None` leaves that to the catalog.
    """

    upstream: ModelName
    id: ModelName | None = None
    prefill: bool | None = None


class ProviderConfig(Section, frozen=True):
    """One upstream provider. A known provider's name alone suffices; see `adapters.providers`.

    `key` is sent in `key_header`, as a bearer token if that is `authorization`. `keys` are further
    ones: each makes a candidate of its own, and each draws requests by the provider's `weight`,
    relative to the others that serve a model. `betas` are the only flags of clients' `anthropic-beta`
    that go on to it; `None` for all. `models` as `None` means what the catalog knows for
    the name; `discover` asks the provider for its list. After loading, `base_url`, `discover` and
    `timeouts` are always set.
    """

    dialect: Annotated[str, Check(rules.dialect)] = "openai"
    base_url: Annotated[str, Check(rules.base_url)] | None = None
    key: Secret | None = None
    keys: list[Secret] = []
    key_header: HeaderName = "authorization"
    headers: dict[HeaderName, HeaderValue] = {}
    query: dict[VisibleText, VisibleText] = {}
    paths: PathConfig = PathConfig()
    models: list[ModelName | ModelEntry] | None = None
    discover: bool | None = None
    stream_usage: bool = True
    timeouts: TimeoutConfig | None = None
    betas: list[Annotated[str, Check(rules.beta_flag)]] | None = None
    max_connections: Count = 10_000
    weight: Weight = 1.0

    @property
    def key_pool(self) -> tuple[Secret, ...]:
        """The distinct keys in the order of the file, none for a provider that needs none."""
        first = () if self.key is None else (self.key,)
        return tuple(dict.fromkeys((*first, *self.keys)))


class ModelConfig(Section, frozen=True):
    """What an id leads to, where the providers' own offers are not the whole answer.

    `target` and `targets` are pooled: any of their candidates may serve. Without them an id that
    exists anyway keeps its own candidates. Each of `fallbacks`, in order, is asked when all before
    it have failed; those of `larger_context` only when the prompt was too long. `hedge` turns
    hedging on or off, or gives the seconds after which an attempt is late. `hedge` and `timeouts`
    as `None` leave it to `[race]` and to the providers.
    """

    target: ModelName | None = None
    targets: list[ModelName] = []
    fallbacks: list[ModelName] = []
    larger_context: list[ModelName] = []
    hedge: bool | Seconds | None = None
    timeouts: TimeoutOverrides | None = None

    @property
    def pool(self) -> tuple[str, ...]:
        """The ids that the model stands for; none if it stands for itself."""
        first = () if self.target is None else (self.target,)
        return tuple(dict.fromkeys((*first, *self.targets)))


class RaceConfig(Section, frozen=True):
    """How hard the gateway tries before a client has to notice anything.

    A tier of candidates may make a request wait `patience` seconds for a Retry-After before the
    next tier is asked; without a first token after `slow_first_token` seconds the next one is
    asked as well. A request makes at most `max_attempts`. Where hedging is on, another attempt
    joins one that is later than the `hedge_quantile` of its kind, and never sooner than after
    `hedge_minimum` seconds. Retries and hedges together are at most `budget_ratio` of the requests,
    besides a burst of `budget_burst` retries. An attempt that lost, or whose client left, is read on
    for `drain_seconds`, so that its provider can tell what it cost; at 0 it is cancelled at once.
    """

    patience: Seconds = 3.0
    slow_first_token: Seconds = 10.0
    max_attempts: Annotated[int, msgspec.Meta(ge=1, le=100)] = 6
    hedge: bool = True
    hedge_quantile: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.95
    hedge_minimum: Seconds = 0.05
    budget_ratio: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.05
    budget_burst: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)] = 100.0
    drain_seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 0.0


class LimitTable(Section, frozen=True):
    """What one subject may use in a minute, and at once. `None`: no limit."""

    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    concurrency: Count | None = None


class LimitsConfig(LimitTable, frozen=True):
    """What a key may use that has no limits of its own nor of its tier, and how limits are kept.

    `models` limits single models, for all keys together. A request that will fit within
    `wait_seconds` waits for that; at most `most_waiting_per_key` of one key and `most_waiting` of
    all. Input that a provider had cached counts `cached_weight` of its tokens. The counts of this
    machine's workers are kept in `folder`; by default in shared memory.

    With a `url`, many gateways share their counts in the Valkey or Redis there. While it is away,
    each serves its own share of every limit, the `machines`-th part (`when_away = "share"`), or
    refuses (`"refuse"`); it is away for a request once it has not answered for `patience` seconds.
    """

    models: dict[ModelName, LimitTable] = {}
    wait_seconds: Annotated[float, msgspec.Meta(ge=0, le=600)] = 5.0
    most_waiting_per_key: Count = 1_000
    most_waiting: Count = 10_000
    cached_weight: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    folder: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    url: Secret | None = None
    machines: Count = 1
    when_away: Literal["share", "refuse"] = "share"
    patience: Seconds = 0.1


class RateTable(Section, frozen=True):
    """US dollars per million tokens; `None`: as the list says, or as the tokens cost without the rate."""

    input: UsdPerMtok | None = None
    output: UsdPerMtok | None = None
    cache_read: UsdPerMtok | None = None
    cache_write: UsdPerMtok | None = None
    reasoning: UsdPerMtok | None = None

    @property
    def stated(self) -> dict[str, float]:
        """The rates that are set."""
        rates = msgspec.structs.asdict(self)
        return {name: rate for name, rate in rates.items() if rate is not None}


class MoneyConfig(Section, frozen=True):
    """What requests cost, and how charges reach the books.

    `prices` replace single rates of a list, by `provider/model`; customers pay `markup` times that. The
    list is the one that ships (`seed`), or first the installed package's (`genai-prices`). Settlements
    wait for the database in files of the folder `journal`. After `outage_seconds` without a look at
    the balances, nothing more is sold on credit.
    """

    markup: Markup = 1.0
    prices: dict[Annotated[str, Check(rules.priced_model)], RateTable] = {}
    price_list: Literal["seed", "genai-prices"] = "seed"
    journal: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    outage_seconds: Seconds = 60.0


class PaymentConfig(Section, frozen=True):
    """One payment provider, whose notices are signed with one of `secrets`."""

    secrets: Annotated[list[LongSecret], msgspec.Meta(min_length=1, max_length=10)]


class AdminConfig(Section, frozen=True):
    """The door for operators: without a `key` there is no admin API. `payments` are webhooks, by name."""

    key: LongSecret | None = None
    payments: dict[Annotated[str, Check(rules.provider_name)], PaymentConfig] = {}


class FetchConfig(Section, frozen=True):
    """Fetching files from clients' URLs, for providers that take bytes only.

    `max_bytes` is that of one file, `max_total_bytes` and `max_urls` those of a request. A file has `seconds`
    to come, redirects included; `at_a_time` are fetched side by side. Only public hosts are asked, besides
    `private_hosts`: a host, or `host:port` where the port is not the usual one.
    """

    enabled: bool = True
    max_bytes: Count = 20 * MIB
    max_total_bytes: Count = 40 * MIB
    max_urls: Count = 20
    seconds: Seconds = 10.0
    at_a_time: Count = 32
    private_hosts: list[Annotated[str, Check(rules.fetched_host)]] = []


class LogConfig(Section, frozen=True):
    """`auto` writes for people on a terminal and JSON lines everywhere else."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console", "auto"] = "auto"


class MetricsConfig(Section, frozen=True):
    """Whether Prometheus metrics are served."""

    enabled: bool = True


class Config(Section, frozen=True):
    """The whole configuration. `models` are aliases and routes, by the id that clients use."""

    server: ServerConfig = ServerConfig()
    store: StoreConfig = StoreConfig()
    timeouts: TimeoutConfig = TimeoutConfig()
    providers: dict[Annotated[str, Check(rules.provider_name)], ProviderConfig] = {}
    models: dict[ModelName, ModelConfig] = {}
    race: RaceConfig = RaceConfig()
    limits: LimitsConfig = LimitsConfig()
    money: MoneyConfig = MoneyConfig()
    admin: AdminConfig = AdminConfig()
    fetch: FetchConfig = FetchConfig()
    log: LogConfig = LogConfig()
    metrics: MetricsConfig = MetricsConfig()
