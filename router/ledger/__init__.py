"""Money: what a request costs, what is held for it, and the books that say who has paid.

Arithmetic comes first and knows no database (`money`, `price`, `cost`, `hold`). The books are SQL
and append-only (`book`, `store`, `usage`, `redeem`). The journal stands between a running request and the
books, so that no request ever waits for a database and none is lost without one.
"""
