"""The configuration of the gateway: its shape (`schema`), and how it is read (`load`)."""

from router.config.decode import ConfigError, Problem
from router.config.load import find_config, load_config
from router.config.schema import (
    Config,
    LimitsConfig,
    LimitTable,
    LogConfig,
    MetricsConfig,
    ModelConfig,
    ModelEntry,
    PathConfig,
    ProviderConfig,
    RaceConfig,
    ServerConfig,
    StoreConfig,
    TimeoutConfig,
    TimeoutOverrides,
)
from router.config.secret import DatabaseUrl, HeaderValue, Secret

__all__ = [
    "Config",
    "ConfigError",
    "DatabaseUrl",
    "HeaderValue",
    "LimitTable",
    "LimitsConfig",
    "LogConfig",
    "MetricsConfig",
    "ModelConfig",
    "ModelEntry",
    "PathConfig",
    "Problem",
    "ProviderConfig",
    "RaceConfig",
    "Secret",
    "ServerConfig",
    "StoreConfig",
    "TimeoutConfig",
    "TimeoutOverrides",
    "find_config",
    "load_config",
]
