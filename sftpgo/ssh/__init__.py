"""The wire: SSH and SFTP over Conch.  Knows no user, no permission, no quota."""
