"""The end of a call's time, where nothing but an attempt knows that it has come.

A call may take so long in all, whatever it waits for. A scope of trio's around the whole call would see to
that, but to make one costs as much as all decisions of a race. A request that runs an attempt in its own
task waits for nothing else meanwhile, and an attempt's own time is limited anyway: to the call's at most.
"""


class Overdue(Exception):
    """The time of the whole call is over. It is nobody's failure, and no other attempt can follow."""
