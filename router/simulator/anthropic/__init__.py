"""The simulated provider in Anthropic's dialect: Messages, whole and streamed, and token counts."""
