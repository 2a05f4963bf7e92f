"""Thin adapters between the wire and the domain: cred checkers, the realm, and what an avatar may do."""
