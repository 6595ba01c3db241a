"""Voyage's dialect: embeddings and rankings, and no chat.

It looks like OpenAI's and has names of its own for most wishes. Its errors are a bare `{"detail"}`, which the
reader of OpenAI's errors knows.
"""
