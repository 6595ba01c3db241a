"""Jina's dialect: embeddings and rankings, and no chat.

Its errors are a bare `{"detail"}`, which the reader of OpenAI's errors knows. Its form of a ranking is that
of many who serve open models behind an OpenAI-like interface.
"""
