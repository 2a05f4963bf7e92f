"""The configuration: its model, the six formats of its file, and the environment over it."""
