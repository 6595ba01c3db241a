"""Admission: whether a request may be served now, later, or not, and what it has used when it ends.

The arithmetic is `limiter`'s. Here it is joined with callers and calls, and here a request waits.
"""
