"""Who may call: API keys, how they are stored, and how every worker learns of a change.

Three views of one fact. The *store* (SQL) is what lasts and what the command line edits. The
*ring* is an immutable picture of it in memory, which is all that a request ever touches. The
*watch* carries changes from the first to the second in well under a second, whichever process made
them.
"""
