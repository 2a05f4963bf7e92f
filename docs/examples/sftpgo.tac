"""The server as a part of a Twisted application, for twistd: ``twistd -ny sftpgo.tac``.

SFTPGO_EXAMPLE names the directory of the configuration.
"""

import os

from twisted.application.service import Application
from twisted.internet import reactor

from sftpgo.config.load import load
from sftpgo.service import build

application = Application("my-files")
server = build(load(os.environ["SFTPGO_EXAMPLE"], environ={}), reactor)
server.setServiceParent(application)
