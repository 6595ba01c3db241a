"""Who may call: accounts, tiers and API keys, how they are stored, and how workers learn of changes.

Three views of one fact. The *store* (SQL) is what lasts and what the command line edits. The
*snapshot* behind the *ring* is an immutable picture of it in memory, which is all that a request
ever touches. The *watch* carries changes from the first to the second in well under a second,
whichever process made them.
"""
