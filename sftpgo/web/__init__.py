"""The HTTP face: REST."""
