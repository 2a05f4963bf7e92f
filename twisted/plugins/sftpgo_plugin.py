"""Tells twistd that there is an ``sftpgo``; everything else is in L{sftpgo.tap}."""

from twisted.application.service import ServiceMaker

sftpgo = ServiceMaker(
    "sftpgo",
    "sftpgo.tap",
    "An SFTP, SCP and SSH file server with virtual accounts.",
    "sftpgo",
)
