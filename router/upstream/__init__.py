"""HTTP out: pooled HTTP/1.1 connections to the providers' origins.

Start at `client`. Beneath it `lending` carries out what `pool` decides, `connection` moves the
bytes of one connection, and `http1` alone knows how HTTP is parsed.
"""
