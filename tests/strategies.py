"""What hypothesis draws from: paths, permissions and accounts as they may be stored, and text as clients send it."""

from __future__ import annotations

from hypothesis import strategies as st

from sftpgo.domain.permissions import Permission
from sftpgo.domain.user import Filters, User

# Few names and short ones, so that drawn paths meet: with look-alikes, dots, a backslash and a byte that is not UTF-8.
NAMES = st.sampled_from(
    ["a", "b", "ab", "u1", "u10", "..x", "...", "..a..", " ", "a b", "a\\..\\b", "ä", "\u2028", "\udcff", "*", "-r"]
)

#: Canonical virtual paths.
PATHS = st.lists(NAMES, max_size=5).map(lambda names: "/" + "/".join(names))

#: Paths as a client may type them: relative, with dots, with slashes where none are needed.
TYPED_PATHS = st.lists(st.one_of(NAMES, st.sampled_from(["", ".", ".."])), max_size=8).map("/".join)

#: Any bytes that may come as a path.
WIRE_PATHS = st.one_of(
    st.binary(max_size=40).map(lambda path: path.replace(b"\0", b"")),
    st.lists(st.sampled_from([b"/", b"..", b".", b"a", b"\xff", b"\xc3", b"\xa4", b"\\"]), max_size=12).map(b"".join),
)

PERMISSIONS = st.sampled_from(Permission)

#: The list of one directory, as it is written: not empty, with duplicates, maybe with C{*} among others.
GRANTS = st.lists(PERMISSIONS.map(str), min_size=1, max_size=6).map(tuple)

#: The map of an account: canonical directories, always with C{/}.
PERMISSION_MAPS = st.builds(
    lambda root, others: {**others, "/": root}, GRANTS, st.dictionaries(PATHS, GRANTS, max_size=6)
)

INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)

IPV4_NETWORKS = st.builds(
    lambda address, length: f"{address}/{length}", st.ip_addresses(v=4).map(str), st.integers(0, 32)
)
IPV6_NETWORKS = st.builds(
    lambda address, length: f"{address}/{length}", st.ip_addresses(v=6).map(str), st.integers(0, 128)
)
NETWORKS = st.one_of(IPV4_NETWORKS, IPV6_NETWORKS)
FILTERS = st.builds(
    Filters,
    allowed_ip=st.lists(NETWORKS, max_size=3).map(tuple),
    denied_ip=st.lists(NETWORKS, max_size=3).map(tuple),
)

_PRINTABLE = st.characters(exclude_categories=["Cs", "Cc"])
USERNAMES = st.text(_PRINTABLE, min_size=1, max_size=255)

#: Accounts that pass validation as they are; the password is a hash, the keys are any text.
USERS = st.builds(
    User,
    id=st.integers(0, 2**63 - 1),
    status=st.sampled_from([0, 1]),
    username=USERNAMES,
    expiration_date=INT64,
    password=st.just("$argon2id$v=19$m=8,t=1,p=1$YWFhYWFhYWE$YWFhYWFhYWE"),
    public_keys=st.lists(st.text(_PRINTABLE, max_size=20), max_size=3).map(tuple),
    home_dir=PATHS.filter(lambda path: "\udcff" not in path),
    uid=INT32,
    gid=INT32,
    max_sessions=INT32,
    quota_size=INT64,
    quota_files=INT32,
    permissions=PERMISSION_MAPS.map(
        lambda permissions: {path: ("*",) if "*" in names else names for path, names in permissions.items()}
    ),
    used_quota_size=INT64,
    used_quota_files=INT32,
    last_quota_update=INT64,
    upload_bandwidth=INT32,
    download_bandwidth=INT32,
    last_login=INT64,
    filters=FILTERS,
)
