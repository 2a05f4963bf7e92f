"""sftpgo: an SFTP, SCP and SSH file server with virtual accounts, built on Twisted Conch."""

__version__ = "0.1.0.dev0"
