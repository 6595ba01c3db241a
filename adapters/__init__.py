"""Provider dialects, without any transport: bytes and structs in, bytes and structs out.

An adapter has four verbs (see `adapters.dialect`): encode a request, decode a whole answer, make a
fresh decoder for a stream, classify an error. Nothing here waits, opens a socket or reads a clock, so
every dialect can be tested with tables of bytes.
"""
