"""The configuration of the gateway: its shape (`schema`), and how it is read (`load`)."""

from router.config.decode import ConfigError, Problem
from router.config.load import find_config, load_config
from router.config.schema import (
    AdminConfig,
    Config,
    LimitsConfig,
    LimitTable,
    LogConfig,
    MetricsConfig,
    ModelConfig,
    ModelEntry,
    MoneyConfig,
    PathConfig,
    PaymentConfig,
    ProviderConfig,
    RaceConfig,
    RateTable,
    ServerConfig,
    StoreConfig,
    TimeoutConfig,
    TimeoutOverrides,
)
from router.config.secret import DatabaseUrl, HeaderValue, LongSecret, Secret

__all__ = [
    "AdminConfig",
    "Config",
    "ConfigError",
    "DatabaseUrl",
    "HeaderValue",
    "LimitTable",
    "LimitsConfig",
    "LogConfig",
    "LongSecret",
    "MetricsConfig",
    "ModelConfig",
    "ModelEntry",
    "MoneyConfig",
    "PathConfig",
    "PaymentConfig",
    "Problem",
    "ProviderConfig",
    "RaceConfig",
    "RateTable",
    "Secret",
    "ServerConfig",
    "StoreConfig",
    "TimeoutConfig",
    "TimeoutOverrides",
    "find_config",
    "load_config",
]
