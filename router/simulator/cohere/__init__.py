"""The simulated provider in Cohere's dialect: chat, whole and streamed, embeddings and rerank (version 2)."""
