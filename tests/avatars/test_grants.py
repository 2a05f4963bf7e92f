"""What the kernel is told to allow is never more than the user's permissions do."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.avatars.grants import READING, WRITING, Grant, grants
from sftpgo.domain import paths
from sftpgo.domain.permissions import AccessRules, Permission
from sftpgo.errors import PermissionDenied

ALL = ("*",)
READ = tuple(READING)


class GrantTests(SynchronousTestCase):
    """Over the rules of a user."""

    def test_table(self) -> None:
        home_write, home_read = Grant("/", True), Grant("/", False)
        for permissions, directory, writing, expected in (
            ({"/": ALL}, "/r", True, [home_write]),
            ({"/": ALL}, "/r", False, [home_read]),
            ({"/": READ}, "/r", False, [home_read]),
            ({"/": READ}, "/r", True, None),
            ({"/": READ, "/up": ALL}, "/up", True, [Grant("/up", True), home_read]),
            ({"/": READ, "/up": ALL}, "/up/sub", True, [Grant("/up/sub", True), home_read]),
            ({"/": ALL, "/no": ()}, "/r", True, [Grant("/r", True)]),
            ({"/": ALL, "/no": ()}, "/r", False, [Grant("/r", False)]),
            ({"/": ALL, "/no": ()}, "/no", False, None),
            ({"/": ALL, "/no": ()}, "/", False, None),
            ({"/": ALL, "/r/no": ("list",)}, "/r", False, None),
            ({"/": ALL, "/r/ro": READ}, "/r", False, [home_read]),
            ({"/": ALL, "/r/ro": READ}, "/r", True, None),
            ({"/": ALL, "/r/more": ALL}, "/r", True, [home_write]),
            ({"/": (), "/r": ALL}, "/r", True, [Grant("/r", True)]),
            ({"/": ALL, "/r2": ()}, "/r", True, [Grant("/r", True)]),
        ):
            rules = AccessRules(permissions)
            if expected is None:
                with self.assertRaises(PermissionDenied, msg=(permissions, directory)):
                    grants(rules, directory, writing=writing)
            else:
                self.assertEqual(grants(rules, directory, writing=writing), expected, (permissions, directory))

    def test_message(self) -> None:
        """Names the directory whose permissions are in the way."""
        with self.assertRaisesRegex(PermissionDenied, r"cannot keep the permissions of /r/no\Z"):
            grants(AccessRules({"/": ALL, "/r/no": ()}), "/r", writing=False)

    @settings(deadline=None, max_examples=300)
    @given(
        st.dictionaries(
            st.sampled_from(["/", "/a", "/a/b", "/a/b/c", "/d"]),
            st.sampled_from([ALL, READ, tuple(WRITING), ("list",), (), tuple(WRITING - {Permission.DELETE})]),
        ),
        st.sampled_from(["/", "/a", "/a/b", "/a/b/c", "/d", "/d/e"]),
        st.booleans(),
    )
    def test_never_more(self, permissions: dict[str, tuple[str, ...]], directory: str, writing: bool) -> None:
        rules = AccessRules(permissions)
        try:
            found = grants(rules, directory, writing=writing)
        except PermissionDenied:
            return
        self.assertTrue(paths.contains(found[0].directory, directory))
        for path in ["/", "/a", "/a/b", "/a/b/c", "/a/b/c/x", "/a/x", "/d", "/d/e", "/z"]:
            for grant in found:
                if paths.contains(grant.directory, path):
                    self.assertTrue(rules.allows_all(path, WRITING if grant.writable else READING), (path, grant))
