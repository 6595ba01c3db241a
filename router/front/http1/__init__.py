"""HTTP/1.1 as this gateway serves it: a parser behind a seam, and a connection of one task.

`head`, `rules` and `framing` say what a request may look like; `llhttp` and `reference` are the two sides
of the seam in `message`, one fast, one built on h11. `wire`, `turn` and `connection` move bytes and time.
`docs/decisions/0017` tells why hypercorn does not do this.
"""
