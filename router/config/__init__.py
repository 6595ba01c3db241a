"""The configuration of the gateway: its shape (`schema`), and how it is read (`load`)."""

from router.config.decode import ConfigError, Problem
from router.config.load import find_config, load_config
from router.config.schema import (
    AliasConfig,
    Config,
    LogConfig,
    MetricsConfig,
    ModelEntry,
    PathConfig,
    ProviderConfig,
    ServerConfig,
    StoreConfig,
    TimeoutConfig,
)
from router.config.secret import HeaderValue, Secret

__all__ = [
    "AliasConfig",
    "Config",
    "ConfigError",
    "HeaderValue",
    "LogConfig",
    "MetricsConfig",
    "ModelEntry",
    "PathConfig",
    "Problem",
    "ProviderConfig",
    "Secret",
    "ServerConfig",
    "StoreConfig",
    "TimeoutConfig",
    "find_config",
    "load_config",
]
