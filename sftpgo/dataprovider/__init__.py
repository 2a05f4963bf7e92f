"""Where the users are kept: memory and SQLite, behind one interface."""
