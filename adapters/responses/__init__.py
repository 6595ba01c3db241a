"""The OpenAI Responses face: what Codex and newer OpenAI clients speak, over any upstream.

Nothing is stored here, so every request brings its whole conversation: `store` is accepted and answered with
`false`, and what would need a memory of ours (`previous_response_id`, `conversation`, references to items,
background work) is refused in words. Reasoning travels through the client in `encrypted_content`.

Source of the forms: OpenAI's API reference, "Responses" and "Streaming events".
"""
