"""The known providers: the one table in which a provider's name means something.

A provider that is listed here needs no base URL in the configuration, and is found through the
environment variable its users have already set. What is peculiar to its wire stands here too, as
data, so that no other file ever compares a provider's name. An operator can override every value;
a provider that is not listed works as well, it only has to be described in full.

The addresses are those of each provider's own documentation, for the dialect that is named here: OpenAI's,
unless a provider has more to say in its own (November 2026). Where a provider runs separate regions, the
international one is taken.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec


class KnownProvider(msgspec.Struct, frozen=True, kw_only=True):
    """What we know about one provider before its operator says anything.

    `base_url` is `None` where every customer has an address of his own; `openai_url` is that of its
    OpenAI-compatible interface, where this is another one. `key_variables` are tried in order; none at all
    means that no key is needed. `address_variable` may carry another base URL, or, with `bare_address`, a
    host and port in the form Ollama reads. `discover` asks for its model list at run time; with `inventory`
    that list is the whole truth and replaces the built-in one. `listed_prefix` is cut from the ids it lists.
    `makes` are the beginnings (lower case) of the names of the models that this provider itself has made;
    with `known_bare` clients look for its models under their bare names, and are shown those too.
    `marks_prefill`, `echoes_prefill` and `cap_field` are explained in `adapters.dialect.Target`.
    """

    name: str
    base_url: str | None
    openai_url: str | None = None
    key_variables: tuple[str, ...] = ()
    address_variable: str | None = None
    bare_address: bool = False
    dialect: str = "openai"
    key_header: str = "authorization"
    paths: tuple[tuple[str, str], ...] = ()
    discover: bool = False
    inventory: bool = False
    listed_prefix: str = ""
    stream_usage: bool = True
    marks_prefill: bool = False
    echoes_prefill: bool = False
    cap_field: str = "max_tokens"
    makes: tuple[str, ...] = ()
    known_bare: bool = False


_TABLE: Final = (
    KnownProvider(
        name="openai",
        base_url="https://api.openai.com/v1",
        key_variables=("OPENAI_API_KEY",),
        address_variable="OPENAI_BASE_URL",
        cap_field="max_completion_tokens",
        makes=("gpt-", "o1", "o3", "o4", "chatgpt-", "text-embedding-", "davinci", "babbage"),
        known_bare=True,
    ),
    KnownProvider(
        name="anthropic",
        base_url="https://api.anthropic.com/v1",
        key_variables=("ANTHROPIC_API_KEY",),
        dialect="anthropic",
        key_header="x-api-key",
        makes=("claude-",),
    ),
    KnownProvider(
        name="google",
        base_url="https://generativelanguage.googleapis.com/v1beta",
        openai_url="https://generativelanguage.googleapis.com/v1beta/openai",
        key_variables=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        dialect="gemini",
        key_header="x-goog-api-key",
        listed_prefix="models/",
        makes=("gemini-", "gemma-", "learnlm-"),
    ),
    KnownProvider(
        name="openrouter",
        base_url="https://openrouter.ai/api/v1",
        key_variables=("OPENROUTER_API_KEY",),
        discover=True,
        inventory=True,
    ),
    KnownProvider(
        name="groq",
        base_url="https://api.groq.com/openai/v1",
        key_variables=("GROQ_API_KEY",),
    ),
    KnownProvider(
        name="mistral",
        base_url="https://api.mistral.ai/v1",
        key_variables=("MISTRAL_API_KEY",),
        dialect="mistral",
        # It refuses the option with a 422 and sends the usage in its last chunk anyway.
        stream_usage=False,
        marks_prefill=True,
        echoes_prefill=True,
        makes=("mistral-", "ministral-", "magistral-", "codestral-", "devstral-", "pixtral-"),
    ),
    KnownProvider(
        name="deepseek",
        base_url="https://api.deepseek.com/v1",
        key_variables=("DEEPSEEK_API_KEY",),
        dialect="deepseek",
        marks_prefill=True,  # and takes one only below its address for beta features
        makes=("deepseek-",),
    ),
    KnownProvider(
        name="xai",
        base_url="https://api.x.ai/v1",
        key_variables=("XAI_API_KEY",),
        makes=("grok-",),
    ),
    KnownProvider(
        name="together",
        base_url="https://api.together.xyz/v1",
        key_variables=("TOGETHER_API_KEY",),
    ),
    KnownProvider(
        name="fireworks",
        base_url="https://api.fireworks.ai/inference/v1",
        key_variables=("FIREWORKS_API_KEY",),
    ),
    KnownProvider(
        name="cerebras",
        base_url="https://api.cerebras.ai/v1",
        key_variables=("CEREBRAS_API_KEY",),
    ),
    KnownProvider(
        name="sambanova",
        base_url="https://api.sambanova.ai/v1",
        key_variables=("SAMBANOVA_API_KEY",),
    ),
    KnownProvider(
        name="perplexity",
        base_url="https://api.perplexity.ai",
        key_variables=("PERPLEXITY_API_KEY", "PERPLEXITYAI_API_KEY"),
        paths=(("embeddings", "/v1/embeddings"),),
        # Every chunk carries the usage without being asked.
        stream_usage=False,
        makes=("sonar", "pplx-"),
    ),
    KnownProvider(
        name="deepinfra",
        base_url="https://api.deepinfra.com/v1/openai",
        key_variables=("DEEPINFRA_API_KEY", "DEEPINFRA_TOKEN"),
    ),
    KnownProvider(
        name="novita",
        base_url="https://api.novita.ai/openai/v1",
        key_variables=("NOVITA_API_KEY",),
    ),
    KnownProvider(
        name="nebius",
        base_url="https://api.tokenfactory.nebius.com/v1",
        key_variables=("NEBIUS_API_KEY",),
    ),
    KnownProvider(
        name="hyperbolic",
        base_url="https://api.hyperbolic.xyz/v1",
        key_variables=("HYPERBOLIC_API_KEY",),
    ),
    KnownProvider(
        name="moonshot",
        base_url="https://api.moonshot.ai/v1",
        key_variables=("MOONSHOT_API_KEY",),
        makes=("kimi-", "moonshot-"),
    ),
    KnownProvider(
        name="minimax",
        base_url="https://api.minimax.io/v1",
        key_variables=("MINIMAX_API_KEY",),
        makes=("minimax-",),
    ),
    KnownProvider(
        name="zai",
        base_url="https://api.z.ai/api/paas/v4",
        key_variables=("ZAI_API_KEY",),
        makes=("glm-",),
    ),
    KnownProvider(
        name="dashscope",
        base_url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        key_variables=("DASHSCOPE_API_KEY",),
        makes=("qwen", "qwq-", "qvq-"),
    ),
    KnownProvider(
        name="cohere",
        base_url="https://api.cohere.com",
        key_variables=("COHERE_API_KEY", "CO_API_KEY"),
        dialect="cohere",
        makes=("command-", "c4ai-", "embed-english-", "embed-multilingual-", "embed-v", "rerank-v"),
    ),
    KnownProvider(
        name="voyage",
        base_url="https://api.voyageai.com/v1",
        key_variables=("VOYAGE_API_KEY",),
        dialect="voyage",
        makes=("voyage-",),
    ),
    KnownProvider(
        name="jina",
        base_url="https://api.jina.ai/v1",
        key_variables=("JINA_API_KEY",),
        dialect="jina",
        makes=("jina-",),
    ),
    KnownProvider(
        name="azure",
        base_url=None,
        key_variables=("AZURE_OPENAI_API_KEY",),
        key_header="api-key",
    ),
    KnownProvider(
        name="ollama",
        base_url="http://127.0.0.1:11434/v1",
        address_variable="OLLAMA_HOST",
        bare_address=True,
        discover=True,
        inventory=True,
    ),
)

KNOWN_PROVIDERS: Final[Mapping[str, KnownProvider]] = MappingProxyType(
    {provider.name: provider for provider in _TABLE}
)


def maker_of(model: str) -> str | None:
    """Return the name of the known provider that made the model, judged by the model's name."""
    name = model.lower()
    for provider in _TABLE:
        if name.startswith(provider.makes):
            return provider.name
    return None
