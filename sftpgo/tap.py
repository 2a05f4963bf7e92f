"""The options every way of starting the server shares, and what C{twistd sftpgo} needs (L{makeService})."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NoReturn

from twisted.application.service import IService
from twisted.python import usage

from sftpgo.config.load import Loaded, load
from sftpgo.descriptors import raise_limit
from sftpgo.errors import ConfigurationError, SFTPGoError
from sftpgo.log import LogSettings
from sftpgo.service import build
from sftpgo.systemd import Supervisor, started_with

_TRUE = {"1", "t", "true", "yes", "on"}
_FALSE = {"0", "f", "false", "no", "off"}

#: Flags that may stand alone or take a value, as in C{--log-verbose=false}.
_SWITCHES = {"-z": "--log-compress", "-v": "--log-verbose"}


def _boolean(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError(f"{text!r} is neither true nor false")


def _whole(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise ValueError(f"{text!r} is no whole number") from None
    if number < 0:
        raise ValueError(f"{number} is negative")
    return number


class _Flag:
    """Reads the value of a flag, and names it where that is none."""

    def __init__(self, flag: str, parse: Callable[[str], Any]) -> None:
        self.parse = parse
        self._flag = flag

    def __call__(self, text: str) -> Any:
        try:
            return self.parse(text)
        except ValueError as error:
            raise ValueError(f"{self._flag}: {error}") from error


def _value(long: str, short: str, default: object, doc: str, parse: Callable[[str], Any]) -> list[Any]:
    return [long, short, default, doc, _Flag(f"-{short}, --{long}", parse)]


class Options(usage.Options):
    """Where the configuration and the log are.  A flag beats the environment, which beats the default."""

    synopsis = "[options]"
    optParameters: ClassVar[list[list[Any]]] = [
        ["config-dir", "c", ".", "Directory of the configuration, keys and database [SFTPGO_CONFIG_DIR]"],
        ["config-file", "f", "sftpgo", "Name of the configuration file, without extension [SFTPGO_CONFIG_FILE]"],
        ["config", None, None, "Path of the configuration file; its directory is the configuration's then"],
        _value("wait", "w", 0, "Seconds to wait for a database that is not there yet [SFTPGO_WAIT]", _whole),
        ["log-file-path", "l", "sftpgo.log", "Log file; empty: JSON lines on standard output [SFTPGO_LOG_FILE_PATH]"],
        _value("log-max-size", "s", 10, "Megabytes at which the log is rotated [SFTPGO_LOG_MAX_SIZE]", _whole),
        _value("log-max-backups", "b", 5, "Rotated logs to keep [SFTPGO_LOG_MAX_BACKUPS]", _whole),
        _value("log-max-age", "a", 28, "Days to keep a rotated log [SFTPGO_LOG_MAX_AGE]", _whole),
        _value("log-compress", "z", False, "Compress rotated logs [SFTPGO_LOG_COMPRESS]", _boolean),
        _value("log-verbose", "v", True, "Log debug lines too [SFTPGO_LOG_VERBOSE]", _boolean),
    ]
    longdesc = "Serves SFTP for virtual accounts, and the REST API that manages them."

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._environ = os.environ if environ is None else environ
        for name, _short, default, _doc, *coerce in self.optParameters:
            variable = "SFTPGO_" + str(name).upper().replace("-", "_")
            if variable in self._environ:
                self[name] = self._from_environment(variable, coerce)
            else:
                self[name] = default

    def _from_environment(self, variable: str, coerce: Sequence[Any]) -> Any:
        text = self._environ[variable]
        try:
            return coerce[0].parse(text) if coerce else text
        except ValueError as error:
            raise usage.UsageError(f"{variable}: {error}") from error

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Parse flags; arguments beyond them are ignored."""
        words = list(sys.argv[1:] if options is None else options)
        spelled_out = [self._spelled_out(word) for word in words]
        try:
            super().parseOptions(spelled_out)
        except usage.UsageError as error:
            raise usage.UsageError(str(error).removeprefix("Parameter type enforcement failed: ")) from error

    def _spelled_out(self, word: str) -> str:
        name, sign, value = word.partition("=")
        long = _SWITCHES.get(name, name)
        if long in _SWITCHES.values():
            return f"{long}={value if sign else 'true'}"
        return word

    def parseArgs(self, *args: str) -> None:
        """Ignore extra arguments, as the original does."""

    def load(self) -> Loaded:
        """The configuration these options name.

        @raise ConfigurationError: with every fault in it.
        """
        return load(
            self["config-dir"],
            self["config-file"],
            environ=self._environ,
            home=self._environ.get("HOME"),
            explicit_path=self["config"],
        )

    def log_settings(self) -> LogSettings:
        """Where and what to log."""
        return LogSettings(
            path=self["log-file-path"],
            max_size_mb=self["log-max-size"],
            max_backups=self["log-max-backups"],
            max_age_days=self["log-max-age"],
            compress=self["log-compress"],
            verbose=self["log-verbose"],
        )


def refuse(error: SFTPGoError) -> NoReturn:
    """Say why the server cannot start, a line for each reason, and exit with status 1."""
    lines = error.problems if isinstance(error, ConfigurationError) else (str(error),)
    for line in lines:
        print(f"sftpgo: {line}", file=sys.stderr)
    sys.exit(1)


def exit_with_failure() -> None:
    """Make the process end with status 1 although the reactor stopped in good order."""

    def leave() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)

    atexit.register(leave)


def makeService(options: Options) -> IService:
    """The whole server as one service, for C{twistd}."""
    from twisted.internet import reactor  # noqa: PLC0415 -- twistd has installed one by now

    def failed(error: BaseException) -> None:
        # twistd has made sys.stderr a log by now.
        print(f"sftpgo: {error}", file=sys.__stderr__)
        exit_with_failure()
        reactor.stop()

    raise_limit(reactor)
    try:
        loaded = options.load()
        return IService(
            build(
                loaded,
                reactor,
                log_settings=options.log_settings(),
                failed=failed,
                wait=options["wait"],
                read_again=options.load,
                supervisor=Supervisor.take(os.environ, started_with()),
            )
        )
    except SFTPGoError as error:
        refuse(error)
