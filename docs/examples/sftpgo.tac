"""The server as a part of a Twisted application, for twistd: ``twistd -ny sftpgo.tac``.

SFTPGO_EXAMPLE names the directory of the configuration.
"""

import os
import sys

from twisted.application.service import Application
from twisted.internet import reactor

from sftpgo.config.load import load
from sftpgo.service import build

application = Application("my-files")
directory = os.environ.get("SFTPGO_EXAMPLE")
if not directory:
    sys.exit("SFTPGO_EXAMPLE must name the directory of the configuration")
server = build(load(directory, environ={}), reactor)
server.setServiceParent(application)
