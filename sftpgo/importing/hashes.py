"""Which hashes of other systems' passwords can be taken over, and a clear word for the others."""

from __future__ import annotations

import re

#: The forms that a login is checked against here.
_TAKEN = ("$argon2id$", "$2a$", "$2b$", "$2y$", "$1$", "$6$", "$pbkdf2-sha1$", "$pbkdf2-sha256$", "$pbkdf2-sha512$")

_OTHERS = {
    "$y$": "yescrypt",
    "$gy$": "gost-yescrypt",
    "$7$": "scrypt",
    "$5$": "SHA-256 crypt",
    "$sha1$": "SHA-1 crypt",
    "$md5": "SunMD5",
    "$3$": "NT hash",
    "$argon2i$": "argon2i",
    "$argon2d$": "argon2d",
    "$2x$": "bcrypt 2x",
    "$apr1$": "Apache MD5",
}
_DES = re.compile(r"(?:_[./A-Za-z0-9]{19}|[./A-Za-z0-9]{13})")


def refusal(stored: str) -> str:
    """Why this field of a password file is no password here; empty when it is one."""
    if not stored:
        return "it has no password, so anybody could log in"
    if stored.startswith(("!", "*")):
        return "its password is locked"
    if stored.startswith(_TAKEN):
        return ""
    for prefix, name in _OTHERS.items():
        if stored.startswith(prefix):
            return f"its password is hashed with {name}, which is not known here: give it a new password"
    if _DES.fullmatch(stored):
        return "its password is hashed with DES crypt, which is not safe any more: give it a new password"
    return "its password is hashed in a way that is not known here: give it a new password"
