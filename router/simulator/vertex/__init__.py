"""The simulated provider as Vertex AI, with the token service that admits callers to it.

It takes Gemini's bodies, has paths of its own and embeddings of its own, and wants an OAuth token.
"""
