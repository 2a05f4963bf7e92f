"""Logins that somebody else's web service decides on; there is no table of users here at all.

    python login_by_web.py DIRECTORY URL

For each password the URL gets a POST with ``username`` and ``password`` as a form.  It answers 200 to let them in, and
anything else to keep them out.
"""

import argparse
import re
from io import BytesIO
from urllib.parse import urlencode

from twisted.internet import reactor
from twisted.web.client import Agent, FileBodyProducer, readBody
from twisted.web.http_headers import Headers

from sftpgo.config.load import load
from sftpgo.hooks import Hooks, Method, account
from sftpgo.service import build

arguments = argparse.ArgumentParser()
arguments.add_argument("directory", metavar="DIRECTORY")
arguments.add_argument("url", metavar="URL")
given = arguments.parse_args()
directory, url = given.directory, given.url
agent = Agent(reactor, connectTimeout=5)
form = Headers({"Content-Type": ["application/x-www-form-urlencoded"]})


async def check_login(attempt):
    """Let in whom the web service knows, to a directory of their own."""
    if attempt.method is not Method.PASSWORD or not re.fullmatch(r"[a-z][a-z0-9]{0,30}", attempt.username):
        return False
    fields = {"username": attempt.username, "password": attempt.password}
    body = FileBodyProducer(BytesIO(urlencode(fields).encode()))
    answer = await agent.request(b"POST", url.encode(), form, body)
    await readBody(answer)
    if answer.code != 200:
        return f"the web service said {answer.code}"
    return account(attempt.username, f"{directory}/homes/{attempt.username}", {"/": ("list", "download", "upload")})


server = build(load(directory, environ={}), reactor, hooks=Hooks(check_login=check_login, time_limit=10))
server.started.addCallback(lambda addresses: print(f"SFTP on {addresses.sftp[1]}", flush=True))
reactor.callWhenRunning(server.startService)
reactor.addSystemEventTrigger("before", "shutdown", server.stopService)
reactor.run()
