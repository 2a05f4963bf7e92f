"""C{sftpgo rest}: the REST API from the command line.  Needs nothing but the standard library."""
