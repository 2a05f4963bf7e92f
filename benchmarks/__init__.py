"""How fast the server is beside others: C{make bench}, or C{python -m benchmarks --help}."""
