"""C{sftpgo portable}: share one directory with one command."""
