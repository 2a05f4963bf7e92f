"""C{sftpgo service}: the server as a service of the operating system."""
