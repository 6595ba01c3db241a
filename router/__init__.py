"""SyzeAI: an OpenAI-compatible LLM gateway on trio. Everything that waits lives here."""
