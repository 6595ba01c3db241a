"""HTTP/2 as this gateway serves it: h2 for the frames, a task per stream, and bounds on all that waits.

`head` says what a request may look like, `stream` is one request as an ASGI application sees it, `output`
is what goes out and who must wait for it, `patience` is how much useless work a client may ask for, and
`connection` holds them together. `docs/decisions/0020` tells why hypercorn does not do this.
"""
