"""Hooks around operations: nobody removes what is in ``/archive``, and everything is written down.

python watch_operations.py DIRECTORY

"""

import argparse

from twisted.internet import reactor
from twisted.internet.task import deferLater

from sftpgo.config.load import load
from sftpgo.hooks import Hooks, Method, Verb, account
from sftpgo.service import build

arguments = argparse.ArgumentParser()
arguments.add_argument("directory", metavar="DIRECTORY")
directory = arguments.parse_args().directory


def before(operation):
    """Refuse with a text for the client; nothing lets it be."""
    if operation.verb in (Verb.REMOVE, Verb.RENAME) and operation.path.startswith("/archive/"):
        return "the archive keeps everything"
    if operation.verb is Verb.COMMAND and operation.command.startswith("md5sum"):
        return "sums are not for guests"
    if operation.verb is Verb.UPLOAD:
        return look_at(operation)  # a coroutine: the client waits for its end
    return None


async def look_at(operation):
    """Take some time for an answer, as a virus scanner or another server might."""
    await deferLater(reactor, 0.05)
    return "no programs, please" if operation.path.endswith(".exe") else None


def after(outcome):
    """Tell how it ended."""
    operation = outcome.operation
    how = outcome.error or "done"
    print(f"{operation.user.username} {operation.verb} {operation.path} {outcome.size}: {how}", flush=True)


def event(event):
    """Tell what happened beside the files."""
    print(f"{event.kind} {event.username}", flush=True)


def make_user(attempt):
    """An account for whoever asks first: the guests' one, with a password that everybody knows."""
    if attempt.username == "guest" and attempt.method is Method.PASSWORD:
        return account("guest", f"{directory}/homes/guest", password="guest-secret")
    return None


hooks = Hooks(before=before, after=after, event=event, make_user=make_user)
server = build(load(directory, environ={}), reactor, hooks=hooks)
server.started.addCallback(lambda addresses: print(f"SFTP on {addresses.sftp[1]}", flush=True))
reactor.callWhenRunning(server.startService)
reactor.addSystemEventTrigger("before", "shutdown", server.stopService)
reactor.run()
