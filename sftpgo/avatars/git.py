"""Git's server side: one argument, the repository; and an environment in which a repository cannot run anything.

The user may write every file of a repository, its C{config} and C{hooks} too.  Hooks are switched off, what a
configuration could start is switched off by name where that can be done, and where it cannot (an archive's filter),
nothing but Git itself can be executed in the confinement.  (C{uploadpack.packObjectsHook} is not taken from a
repository by Git itself.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sftpgo.avatars.rsync import Refused
from sftpgo.domain import paths
from sftpgo.ssh.words import Word

#: Commands -> whether they write.
COMMANDS = {"git-upload-pack": False, "git-upload-archive": False, "git-receive-pack": True}

#: What goes before every repository's own configuration.
_CONFIGURATION = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "safe.directory": "*",
    "gc.auto": "0",
    "receive.autogc": "false",
    "maintenance.auto": "false",
    "protocol.allow": "never",
}

#: Where distributions keep Git's own programs.
PROGRAM_DIRECTORIES = ("/usr/lib/git-core", "/usr/libexec/git-core", "/usr/local/libexec/git-core")


def parse(words: Sequence[Word]) -> bytes:
    """The repository's path, from the arguments without the command's name.

    @raise Refused: for options, or not exactly one path.
    """
    if len(words) != 1 or not words[0].text:
        raise Refused("exactly one repository is needed")
    text = words[0].text
    if text.startswith(b"-"):
        raise Refused(f"option {paths.from_wire(text)[:100]} is not served")
    # Git's clients quote the whole path, the ~ of a home as well.
    return text[1:] if text.startswith(b"~/") else text


def environment(username: str, room: int | None) -> Mapping[str, str]:
    """What Git finds in its environment beside what all commands do.

    @param room: bytes that may still be stored, if there is a limit.
    """
    configuration = dict(_CONFIGURATION)
    if room is not None:
        configuration["receive.maxInputSize"] = str(max(1, room))
    name = "".join(character for character in username if character.isprintable()) or "user"
    environ = {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_COUNT": str(len(configuration)),
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "none",
        # A repository may keep a log of who moved a branch.
        "GIT_COMMITTER_NAME": name,
        "GIT_COMMITTER_EMAIL": f"{name}@localhost",
    }
    for number, (key, value) in enumerate(configuration.items()):
        environ[f"GIT_CONFIG_KEY_{number}"] = key
        environ[f"GIT_CONFIG_VALUE_{number}"] = value
    return environ
