"""C{sftpgo service}: reads its words, asks the backend of this system for a plan, and carries it out."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import Any

from sftpgo.commandline import Parser
from sftpgo.errors import SFTPGoError, StartupError
from sftpgo.servicecommand.launchd import Launchd
from sftpgo.servicecommand.model import IServiceManager, Service, Step, WriteFile
from sftpgo.servicecommand.perform import Runner, SystemRunner, ask, perform, shown
from sftpgo.servicecommand.shipped import PROPERTY_LIST, UNIT, shipped
from sftpgo.servicecommand.systemd import Systemd
from sftpgo.servicecommand.unit import STATE, has_state_directory
from sftpgo.servicecommand.windows import Windows

_ABOUT = """Makes the server a service of this system: of systemd on Linux, of launchd on macOS, of the Service Control
Manager on Windows.  Exit status: 0 it is done, or the service runs; 1 it could not be done; of status also 3 it does
not run, 4 it is not installed."""

_ACTIONS = {
    "install": "have it started with the machine",
    "uninstall": "stop it, and forget it",
    "start": "start it now",
    "stop": "stop it now",
    "restart": "stop it, and start it",
    "status": "tell whether it runs",
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_ACCOUNT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\$?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")

_DEFAULT_DIRECTORIES = {"linux": f"{STATE}/{{name}}", "win32": "C:\\ProgramData\\{name}"}
_DEFAULT_DIRECTORY = "/usr/local/etc/{name}"
_DEFAULT_HOMES = ("/srv/sftpgo",)


def flags() -> Parser:
    """The options."""
    made = Parser(prog="sftpgo service", description=_ABOUT, allow_abbrev=False)
    made.add_argument(
        "action", choices=tuple(_ACTIONS), help="; ".join(f"{key}: {text}" for key, text in _ACTIONS.items())
    )
    add = made.add_argument
    add("-n", "--name", default="sftpgo", help="of the service (default: sftpgo)")
    add("-c", "--config-dir", help="of configuration, keys and database (default: /var/lib/NAME on Linux)")
    add("-u", "--user", default="", help="the account it runs as (default: sftpgo on Linux)")
    add("--home-dirs", action="append", help="holds homes of accounts, may be repeated (default: /srv/sftpgo)")
    add("--program", default="", help="absolute path of the program (default: the sftpgo that is run now)")
    add("--root", default="", help="write files below this directory, for a package or an image")
    add("--force", action="store_true", help="install: replace a service of this name that is not the same")
    add("--dry-run", action="store_true", help="print the files and the calls, and do nothing")
    return made


def run(
    words: Sequence[str],
    *,
    platform: str = sys.platform,
    runner: Runner | None = None,
    say: Callable[[str], object] = print,
) -> int:
    """Do what the command line says; returns the exit status.

    @param platform: as C{sys.platform} has it.
    """
    options = flags().parse_args(words)
    runner = runner or SystemRunner()
    try:
        manager = _manager(options, platform)
        if options.action == "status":
            return _status(manager, options, runner, say)
        steps = _PLANS[options.action](manager)
        _check(manager, options, steps)
        if options.dry_run:
            for line in shown(steps):
                say(line)
            return 0
        perform(steps, runner)
    except SFTPGoError as error:
        print(f"sftpgo: {error}", file=sys.stderr)
        return 1
    say(_told(options))
    return 0


def _status(manager: IServiceManager, options: Any, runner: Runner, say: Callable[[str], object]) -> int:
    if options.dry_run:
        for line in shown((manager.status().asked,)):
            say(line)
        return 0
    if options.root:
        raise StartupError("--root: whether a service runs is known to the running system alone")
    question = manager.status()
    status, line = question.answer(ask(question.asked, runner))
    say(line)
    return int(status)


def _manager(options: Any, platform: str) -> IServiceManager:
    """The backend of this system, for the service that the options describe."""
    if not _NAME.fullmatch(options.name):
        raise StartupError(f"--name: {options.name!r} is no name of a service: letters, digits and _.- only")
    if platform not in _BACKENDS:
        raise StartupError(f"how services are made on {platform} is not known here")
    if options.root and platform == "win32":
        raise StartupError("--root: services of Windows are not made of files")
    made, default_user = _BACKENDS[platform]
    user = _user(options.user, platform) or default_user
    homes = tuple(_directory("--home-dirs", path, options.root) for path in options.home_dirs or _DEFAULT_HOMES)
    root = os.path.abspath(options.root) if options.root else ""
    return made(Service(options.name, _program(options.program), _config_dir(options, platform), user, homes, root))


def _systemd(service: Service) -> IServiceManager:
    return IServiceManager(Systemd(service, shipped(UNIT).decode("utf-8")))


#: By C{sys.platform}: what looks after services there, and the account they run as where nobody says otherwise.
_BACKENDS: dict[str, tuple[Callable[[Service], IServiceManager], str]] = {
    "linux": (_systemd, "sftpgo"),
    "darwin": (lambda service: IServiceManager(Launchd(service, shipped(PROPERTY_LIST))), "_sftpgo"),
    "win32": (lambda service: IServiceManager(Windows(service)), r"NT AUTHORITY\LocalService"),
}


def _word(flag: str, text: str) -> str:
    if _CONTROL.search(text):
        raise StartupError(f"{flag}: {text!r} holds a control character")
    if _SURROGATE.search(text):
        raise StartupError(f"{flag}: {text!r} is no text in UTF-8, which the files of a service are")
    return text


def _user(given: str, platform: str) -> str:
    """The account, as systemd and launchd take its name; theirs of Windows may have a domain and blanks."""
    user = _word("--user", given)
    if user and platform != "win32" and not _ACCOUNT.fullmatch(user):
        raise StartupError(f"--user: {user!r} is no name of an account")
    return user


def _program(given: str) -> tuple[str, ...]:
    if given:
        if not os.path.isabs(given):
            raise StartupError(f"--program: {given!r} is no absolute path")
        return (_word("--program", given),)
    beside = os.path.join(os.path.dirname(sys.executable), "sftpgo")
    return (beside,) if os.path.exists(beside) else (sys.executable, "-m", "sftpgo")


def _config_dir(options: Any, platform: str) -> str:
    if options.config_dir is None:
        return _DEFAULT_DIRECTORIES.get(platform, _DEFAULT_DIRECTORY).format(name=options.name)
    return _directory("--config-dir", options.config_dir, options.root)


def _directory(flag: str, given: str, root: str) -> str:
    path = _word(flag, given)
    if root and not path.startswith("/"):
        raise StartupError(f"{flag}: {path!r} is no absolute path, which it has to be with --root")
    return os.path.normpath(path) if root else os.path.abspath(path)


def _check(manager: IServiceManager, options: Any, steps: Sequence[Step]) -> None:
    """What can be known before anything is done."""
    if options.dry_run:
        return
    if options.root and options.action not in ("install", "uninstall"):
        raise StartupError("--root: nothing runs there that could be started or stopped")
    if options.action == "install":
        _check_install(manager, options, steps)
    elif options.action == "uninstall" and manager.files and not any(map(os.path.lexists, manager.files)):
        raise StartupError(f"{options.name} is not installed: there is no {manager.files[0]}")


def _check_install(manager: IServiceManager, options: Any, steps: Sequence[Step]) -> None:
    for step in steps:
        if isinstance(step, WriteFile) and not options.force and _differs(step):
            raise StartupError(f"{step.path} is there and is another one; --force replaces it")
    if options.root or not manager.files:
        return
    service = manager.service
    if not os.path.isdir(service.config_dir) and not has_state_directory(service):
        raise StartupError(f"--config-dir: there is no directory {service.config_dir!r}")
    if shutil.which(service.program[0]) is None:
        raise StartupError(f"--program: {service.program[0]!r} cannot be run")
    if not _is_account(service.user):
        raise StartupError(f"--user: there is no account {service.user!r}; make it first, or name another")


def _differs(step: WriteFile) -> bool:
    try:
        with open(step.path, "rb") as file:
            return file.read() != step.content
    except FileNotFoundError:
        return os.path.islink(step.path)
    except OSError as error:
        raise StartupError(f"{step.path} cannot be read: {error.strerror}") from error


def _is_account(name: str) -> bool:
    import pwd  # noqa: PLC0415 -- Windows has none

    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


_PLANS: dict[str, Callable[[IServiceManager], tuple[Step, ...]]] = {
    "install": lambda manager: manager.install(),
    "uninstall": lambda manager: manager.uninstall(),
    "start": lambda manager: manager.start(),
    "stop": lambda manager: manager.stop(),
    "restart": lambda manager: manager.restart(),
}


def _told(options: Any) -> str:
    if options.root:
        return f"{options.name} is {options.action}ed below {options.root}"
    named = "" if options.name == "sftpgo" else f" --name {options.name}"
    done = {
        "install": f"{options.name} is installed and starts with the machine; now: sftpgo service start{named}",
        "uninstall": f"{options.name} is gone",
        "start": f"{options.name} is started",
        "stop": f"{options.name} is stopped",
        "restart": f"{options.name} is restarted",
    }
    return done[options.action]
