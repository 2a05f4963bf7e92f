"""The server's host keys: read from files, or generated once and kept."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from twisted.conch.ssh.keys import BadKeyError, EncryptedKeyError, Key

from sftpgo.fingerprint import fingerprint as fingerprint_of

#: The keys made when none is configured, in the order a client prefers least to most.
DEFAULT_NAMES = ("id_rsa", "id_ecdsa", "id_ed25519")

_RSA_BITS = 3072
_MODE = 0o600


class HostKeyError(Exception):
    """A host key that cannot be read, made or used; the text names its file."""


def load(paths: Sequence[str]) -> dict[bytes, Key]:
    """Read private keys (PEM or OpenSSH format, without a passphrase), one of each type.

    @return: the keys by SSH type, such as C{b"ssh-ed25519"}.
    @raise HostKeyError: for a key that cannot be read, or a second one of a type.
    """
    loaded: dict[bytes, Key] = {}
    for path in paths:
        key = _read(path)
        kind = key.sshType()
        if kind in loaded:
            raise HostKeyError(f"host key {path}: a second key of type {kind.decode('ascii')}")
        loaded[kind] = key
    return loaded


def load_or_generate(directory: str) -> tuple[dict[bytes, Key], list[str]]:
    """Read the default keys of C{directory}, making those that are not there yet (RSA takes about a second).

    @return: the keys by SSH type, and the paths of those that were made.
    @raise HostKeyError: when one can be neither read nor made.
    """
    made = []
    paths = [os.path.join(directory, name) for name in DEFAULT_NAMES]
    for path in paths:
        if not os.path.lexists(path):
            generate(path)
            made.append(path)
    return load(paths), made


def generate(path: str) -> None:
    """Make a key of the type its name tells, mode 0600, never over an existing file.

    The whole key is written to a temporary name first: a crash leaves no half key behind under C{path}.
    """
    pem = new_key(os.path.basename(path))
    temporary = f"{path}.new.{os.getpid()}"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(pem)
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):  # another process was quicker: its key stands
                os.link(temporary, path)
        finally:
            os.unlink(temporary)
    except OSError as error:
        raise HostKeyError(f"host key {path} cannot be created: {error.strerror}") from error


def new_key(name: str) -> bytes:
    """A new private key as PEM, of the type that the name of its file tells."""
    private = _private_key(name)
    form = serialization.PrivateFormat.OpenSSH
    if isinstance(private, rsa.RSAPrivateKey):
        form = serialization.PrivateFormat.TraditionalOpenSSL
    return private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _private_key(name: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey:
    if name.endswith("ed25519"):
        return ed25519.Ed25519PrivateKey.generate()
    if name.endswith("ecdsa"):
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)


def _read(path: str) -> Key:
    try:
        with open(path, "rb") as file:
            key: Key = Key.fromString(file.read())
    except OSError as error:
        raise HostKeyError(f"host key {path} cannot be read: {error.strerror}") from error
    except EncryptedKeyError as error:
        raise HostKeyError(f"host key {path} is protected by a passphrase, which is not supported") from error
    except (BadKeyError, ValueError, TypeError, IndexError, KeyError) as error:
        raise HostKeyError(f"host key {path} is not a private key: {error}") from error
    if key.isPublic():
        raise HostKeyError(f"host key {path} is a public key; the private one is needed")
    if key.type() == "RSA" and key.size() < 2048:
        raise HostKeyError(f"host key {path} has {key.size()} bits; at least 2048 are needed")
    return key


def fingerprint(key: Key) -> str:
    """The fingerprint as OpenSSH shows it: C{SHA256:...}."""
    return fingerprint_of(key.blob())
