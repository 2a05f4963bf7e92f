"""The rules: users, permissions, paths, filters, connections.  Pure: no Twisted, no I/O, time is an argument."""
