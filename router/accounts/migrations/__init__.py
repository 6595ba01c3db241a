"""The history of the tables: one script for each change of layout, in `versions`, run in order.

A script that was released is never edited, since databases exist that ran it. `env.py` is run by
Alembic, not imported.
"""
