"""The middle: what all dialects say, in one set of structs.

A client speaks one of several faces (OpenAI Chat, OpenAI Responses, Anthropic Messages) and an upstream one
of several dialects. Translating each to each would be n times m translations; by way of the middle it is n
plus m. A face reads requests into `conversation` and writes `answer` and `event`; an upstream dialect
writes requests from `conversation` and reads `answer` and `event`. Where both speak the same, the bytes
pass through and nothing here is used.

What cannot be said to an upstream is refused with `adapters.dialect.BadCall`, or dropped by a rule that the
reference names; nothing is said wrongly.
"""
