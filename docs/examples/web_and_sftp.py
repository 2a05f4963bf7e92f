"""A web application with SFTP beside it: who signs up on the page can log in by SFTP at once.

python web_and_sftp.py DIRECTORY [WEB-PORT] [SFTP-PORT]

"""

import argparse
import sys

from klein import Klein
from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.web.server import Site

from sftpgo.config.inline import configured
from sftpgo.errors import SFTPGoError
from sftpgo.hooks import account
from sftpgo.service import build

arguments = argparse.ArgumentParser()
arguments.add_argument("directory", metavar="DIRECTORY")
arguments.add_argument("web_port", metavar="WEB-PORT", type=int, nargs="?", default=8000)
arguments.add_argument("sftp_port", metavar="SFTP-PORT", type=int, nargs="?", default=2022)
given = arguments.parse_args()
directory = given.directory

# The SFTP server: these lines are all of it.
config = configured(
    directory,
    sftpd={"bind_port": given.sftp_port, "bind_address": "127.0.0.1"},
    data_provider={"driver": "sqlite", "name": "users.db", "users_base_dir": f"{directory}/homes"},
    httpd={"bind_port": 0},
)
server = build(config, reactor)
reactor.callWhenRunning(server.startService)
reactor.addSystemEventTrigger("before", "shutdown", server.stopService)

# The web application.
app = Klein()


@app.route("/")
def page(request):
    """Who is connected at this moment."""
    request.setHeader("Content-Type", "text/plain; charset=utf-8")
    lines = [f"{connection.username} by {connection.protocol}" for connection in server.registry.snapshot()]
    return "\n".join(["connected:", *lines, ""])


@app.route("/sign-up", methods=["POST"])
async def sign_up(request):
    """Add an account."""
    name, password = (request.args.get(field, [b""])[0].decode() for field in (b"name", b"password"))
    try:
        await server.accounts.add(account(name, f"{directory}/homes/{name}", password=password))
    except SFTPGoError as error:
        request.setResponseCode(400)
        return f"{error}\n"
    return f"welcome, {name}\n"


def listening(addresses):
    """Say where, once it is up."""
    print(f"SFTP on {addresses.sftp[1]}", flush=True)


def failed(failure):
    """There is no use in going on."""
    print(failure.getErrorMessage(), file=sys.stderr)
    reactor.stop()


server.started.addCallback(listening)
server.started.addErrback(failed)
web = serverFromString(reactor, f"tcp:{given.web_port}:interface=127.0.0.1").listen(Site(app.resource()))
web.addCallback(lambda port: print(f"web on {port.getHost().port}", flush=True))
web.addErrback(failed)
reactor.run()
