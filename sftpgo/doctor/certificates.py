"""What the HTTP server is guarded by: the file of its users, and its certificate."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509

from sftpgo.config.load import Loaded, resolve
from sftpgo.doctor.finding import Finding, fail, ok, warn
from sftpgo.errors import StartupError
from sftpgo.htpasswd import HtpasswdFile
from sftpgo.tls import Certificate

_SOON: Final = timedelta(days=21)


def look(loaded: Loaded, now: float) -> Iterator[Finding]:
    """Both, where they are configured; C{now} in seconds since the epoch."""
    settings = loaded.config.httpd
    if not settings.bind_port:
        return
    if settings.auth_user_file:
        yield from _users(resolve(loaded.config_dir, settings.auth_user_file))
    if settings.certificate_file and settings.certificate_key_file:
        certificate, key = (
            resolve(loaded.config_dir, name) for name in (settings.certificate_file, settings.certificate_key_file)
        )
        yield from _certificate(certificate, key, datetime.fromtimestamp(now, UTC))


def _users(path: str) -> Iterator[Finding]:
    faults: list[str] = []
    file = HtpasswdFile(path, faults.append)
    try:
        file.load()
    except StartupError as error:
        yield fail("administrators", str(error), f"make one: htpasswd -B -c {path} NAME")
        return
    for fault in faults:
        yield warn("administrators", fault, "mend that line, with htpasswd -B")
    if not faults:
        yield ok("administrators", f"{path} can be used")


def _certificate(path: str, key_file: str, now: datetime) -> Iterator[Finding]:
    try:
        Certificate(path, key_file).load()
    except StartupError as error:
        yield fail("certificate", str(error), "mend httpd.certificate_file and httpd.certificate_key_file")
        return
    with open(path, "rb") as file:
        chain = x509.load_pem_x509_certificates(file.read())
    renew = f"renew it, put it at {path}, and send the server SIGHUP"
    for certificate in chain:
        name = certificate.subject.rfc4514_string() or "without a name"
        end = certificate.not_valid_after_utc
        if certificate.not_valid_before_utc > now:
            text = f"the certificate {name} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
            yield fail("certificate", text, "look at the clock: timedatectl")
        elif end <= now:
            yield fail("certificate", f"the certificate {name} has expired on {end:%Y-%m-%d}", renew)
        elif end - now < _SOON:
            yield warn("certificate", f"the certificate {name} expires on {end:%Y-%m-%d}", renew)
        else:
            yield ok("certificate", f"the certificate {name} is valid until {end:%Y-%m-%d}")
