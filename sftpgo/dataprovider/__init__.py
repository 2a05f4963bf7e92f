"""Where the users are kept: five kinds of store behind one interface, and how their schema comes about."""
