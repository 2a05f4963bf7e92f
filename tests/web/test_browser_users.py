"""The users' pages, as a person goes through them."""

from __future__ import annotations

from typing import Any

from selenium.webdriver.common.keys import Keys

from tests.harness import Server
from tests.web.browser import NARROW, WIDE
from tests.web.pages import GUARDED, GUARDED_FILES, PageTestCase
from tests.web.talk import KEY

EVIL = "<img src=x onerror=document.title='pwned'>"


class UsersCase(PageTestCase):
    def setUp(self) -> None:
        super().setUp()
        for user in self.server.rest("GET", "/user?limit=500"):
            self.server.rest("DELETE", f"/user/{user['id']}")

    def stored(self, username: str) -> dict[str, Any]:
        """The user as REST shows it."""
        (user,) = self.server.rest("GET", f"/user?username={username}")
        found: dict[str, Any] = user
        return found

    def rows(self) -> list[str]:
        texts = self.browser.script(
            "return [...document.querySelectorAll('.users tbody tr')].map(row => row.innerText)"
        )
        return [" ".join(text.split()) for text in texts]

    def names(self) -> list[str]:
        found: list[str] = self.browser.script(
            "return [...document.querySelectorAll('.users tbody tr')].map(row => row.dataset.username)"
        )
        return found

    def save(self) -> None:
        self.browser.click(".formbuttons .btn-primary")


class LifeOfAUser(UsersCase):
    def test_added_changed_disabled_cloned_deleted(self) -> None:
        browser = self.browser
        self.go("/")
        browser.wait_for_text("There are no users yet.")
        browser.click("main a.btn-primary")
        browser.fill("#username", "carla")
        browser.fill("#password", "a good secret")
        browser.fill("#home_dir", str(self.server.home("carla")))
        browser.fill("#quota_size", "10 GB")
        browser.wait_for_text("10,000,000,000 bytes")
        for name in ("list", "download"):
            browser.check(f"permissions-{name}", True)
        browser.check("permissions-*", False)
        browser.click("#directories > button")
        browser.find(".entry input[type=text]").send_keys("inbox")
        browser.wait_for_text("The directory must begin with a slash.")
        browser.fill(".entry input[type=text]", "/inbox")
        browser.check("entry-1-upload", True)
        browser.fill("#explain-path", "/inbox/file")
        browser.wait_for_text("As it stands here: refused. The entry of /inbox decides: upload.")
        self.save()
        browser.wait_for_text("“carla” was added.")
        self.assertIn("/inbox upload", self.rows()[0])
        user = self.stored("carla")
        self.assertEqual((user["quota_size"], user["status"]), (10_000_000_000, 1))
        self.assertEqual(user["permissions"], {"/": ["list", "download"], "/inbox": ["upload"]})

        browser.click(".users .name a")
        self.assertEqual(browser.find("#quota_size").get_attribute("value"), "10 GB")
        browser.fill("#upload_bandwidth", "2 MB")
        browser.fill("#explain-path", "/file")
        browser.wait_for_text("As it is saved: allowed.")
        self.save()
        browser.wait_for_text("“carla” was saved.")
        changed = self.stored("carla")
        self.assertEqual(changed, user | {"upload_bandwidth": 2000})

        browser.click(".users .actions button")
        browser.wait_for_text("“carla” may not log in any more.")
        self.assertEqual(self.stored("carla"), changed | {"status": 0})
        self.assertIn("Inactive", self.rows()[0])

        browser.click(".users details.menu summary")
        browser.click('.users .items a[href*="clone"]')
        browser.wait_for_text("Filled in like “carla”")
        browser.fill("#username", "clone")
        browser.fill("#password", "another secret")
        browser.fill("#home_dir", str(self.server.home("clone")))
        self.save()
        browser.wait_for_text("“clone” was added.")
        self.assertEqual(self.names(), ["carla", "clone"])
        self.assertEqual(self.stored("clone")["permissions"], user["permissions"])

        browser.click(".users details.menu summary")
        browser.click(".users .items .danger")
        browser.fill("#confirm", "somebody else")
        browser.click("main button.btn-danger")
        browser.wait_for_text("Type “carla” to delete this user.")
        self.assertEqual(len(self.server.rest("GET", "/user")), 2)
        browser.fill("#confirm", "carla")
        browser.click("main button.btn-danger")
        browser.wait_for_text("“carla” was deleted.")
        self.assertEqual(self.names(), ["clone"])

    def test_without_scripts(self) -> None:
        browser = self.browser
        with browser.without_scripts():
            self.go("/web/user")
            browser.fill("#username", "plain")
            browser.fill("#password", "a good secret")
            browser.fill("#home_dir", str(self.server.home("plain")))
            browser.fill("#sub_dirs_permissions", "/a:list,download\n/b:*")
            self.save()
            browser.wait_for_text("“plain” was added.")
            self.assertEqual(self.stored("plain")["permissions"]["/a"], ["list", "download"])
            browser.click(".users .name a")
            browser.fill("#quota_files", "77")
            self.save()
            browser.wait_for_text("“plain” was saved.")
            self.assertEqual(self.stored("plain")["quota_files"], 77)
            browser.click(".users .actions button")
            browser.wait_for_text("“plain” may not log in any more.")
            browser.click(".users details.menu summary")
            browser.click(".users .items .danger")
            browser.fill("#confirm", "plain")
            browser.click("main button.btn-danger")
            browser.wait_for_text("“plain” was deleted.")

    def test_by_keyboard_alone(self) -> None:
        browser = self.browser
        self.go("/web/users")
        browser.press_until("Add the first one", Keys.TAB)
        browser.press(Keys.ENTER)
        browser.wait_for_text("Add a new user", "h1")
        for label, text in (
            ("Username", "keys"),
            ("Home directory", str(self.server.home("keys"))),
            ("Password", "a good secret"),
        ):
            browser.press_until(label, Keys.TAB)
            browser.press(text)
        browser.press(Keys.ENTER)
        browser.wait_for_text("“keys” was added.")
        browser.press_until("More for keys", Keys.TAB)
        browser.press(Keys.ENTER)
        browser.press_until("Delete", Keys.TAB)
        browser.press(Keys.ENTER)
        browser.wait_for_text("Delete “keys”?")
        # The field gets the focus by itself.
        browser.wait(lambda: browser.script("return document.activeElement.id") == "confirm", "no focus")
        browser.press("keys")
        browser.press(Keys.ENTER)
        browser.wait_for_text("“keys” was deleted.")


class Mistakes(UsersCase):
    def test_what_was_typed_is_kept_and_the_error_stands_at_its_field(self) -> None:
        browser = self.browser
        typed = {
            "username": "with errors",
            "home_dir": "relative/path",
            "public_keys": "ssh-rsa nonsense",
            "allowed_ip": "300.1.2.3/99",
            "denied_ip": EVIL,
            "max_sessions": "many",
            "quota_size": "ten GB",
            "quota_files": "1.5",
            "upload_bandwidth": "fast",
            "download_bandwidth": "-",
            "uid": "root",
            "gid": "99999999",
        }
        self.go("/web/user")
        for name, text in typed.items():
            browser.fill(f"#{name}", text)
        self.save()
        browser.wait_for_text("Nothing was saved: please mend what is marked.")
        self.assertEqual(browser.script("return document.activeElement.id"), "summary")
        for name, text in typed.items():
            self.assertEqual(browser.find(f"#{name}").get_attribute("value"), text)
        marked = browser.script("return [...document.querySelectorAll('[aria-invalid=true]')].map(e => e.id)")
        self.assertLessEqual(
            {"max_sessions", "quota_size", "quota_files", "upload_bandwidth", "uid", "denied_ip"}, set(marked)
        )
        for name in marked:
            self.assertNotEqual(browser.text(f"#{name}-fault"), "")
        self.assertEqual(browser.all("img[src=x]"), [])
        self.assert_accessible()
        self.assertEqual(self.server.rest("GET", "/user"), [])

    def test_two_editors(self) -> None:
        user = self.server.add_user("shared")
        self.go(f"/web/user/{user['id']}")
        self.server.rest("PUT", f"/user/{user['id']}", {"quota_files": 5})
        self.browser.fill("#max_sessions", "3")
        self.save()
        self.browser.wait_for_text("Somebody else has changed this user")
        self.assertEqual(self.browser.find("#max_sessions").get_attribute("value"), "3")
        self.assertEqual(self.stored("shared")["max_sessions"], 0)
        self.save()
        self.browser.wait_for_text("“shared” was saved.")
        self.assertEqual(self.stored("shared")["max_sessions"], 3)

    def test_deleted_meanwhile(self) -> None:
        user = self.server.add_user("brief")
        self.go(f"/web/user/{user['id']}")
        self.browser.fill("#max_sessions", "3")
        self.server.rest("DELETE", f"/user/{user['id']}")
        self.expected.append("404")
        self.save()
        self.browser.wait_for_text("This user was deleted while you had the form open.")
        self.assertEqual(self.browser.find("#max_sessions").get_attribute("value"), "3")

    def test_no_such_page(self) -> None:
        self.expected.append("40[04]")
        for path, words in (("/web/user/999999", "Not found"), ("/web/user/x", "Bad request"), ("/web/x", "Not found")):
            self.go(path)
            self.browser.wait_for_text(words, "h1")
        self.assert_accessible()

    def test_hostile_names_are_inert(self) -> None:
        user = self.server.add_user(EVIL, home_dir=str(self.server.directory / "homes" / EVIL))
        places = 0
        for path in (
            "/web/users",
            f"/web/users?q={EVIL}",
            f"/web/user/{user['id']}",
            f"/web/user?clone={user['id']}",
            f"/web/user/{user['id']}/delete",
        ):
            self.go(path)
            self.assertEqual(self.browser.all("img[src=x], [onerror], main script"), [])
            self.assertTrue(self.browser.driver.title.startswith("SFTPGo - "))
            places += self.browser.script("return document.body.innerText.split('<img src=x').length - 1")
        self.assertGreaterEqual(places, 8)
        print(f"\nhostile users: shown {places} times, run 0 times")


class ProviderDown(PageTestCase):
    def setUp(self) -> None:
        super().setUp()
        server = Server()
        self.addCleanup(server.clean_up)
        # The page goes before its server.
        self.addCleanup(self.browser.driver.get, "about:blank")
        server.start()
        self.origin = f"http://127.0.0.1:{server.http_port}"
        user = server.add_user("safe")
        self.form = f"/web/user/{user['id']}"
        self.database = server.directory / "sftpgo.db"

    def test_the_pages_say_so_and_the_form_keeps_what_was_typed(self) -> None:
        browser = self.browser
        self.go(self.form)
        browser.fill("#max_sessions", "3")
        self.database.write_bytes(b"no database" * 1000)
        self.expected.append("500")
        browser.click(".formbuttons .btn-primary")
        browser.wait_for_text("file is not a database")
        self.assertEqual(browser.find("#max_sessions").get_attribute("value"), "3")
        self.go("/web/users")
        browser.wait_for_text("The data provider is down", "h1")
        self.assert_accessible()
        self.go("/web/status")
        browser.wait_for_text("Down file is not a database", ".health")


class Lists(UsersCase):
    def test_search_sort_and_pages(self) -> None:
        for number in range(30):
            self.server.add_user(f"user{number:02}", status=int(number != 7), password="", public_keys=[KEY])
        browser = self.browser
        self.go("/web/users?limit=25")
        self.assertEqual(self.names(), [f"user{number:02}" for number in range(25)])
        browser.click('a[rel="next"]')
        browser.wait(lambda: self.names()[:1] == ["user25"], "no second page")
        browser.click(".users thead a")
        browser.wait(lambda: self.names()[:1] == ["user29"], "not sorted the other way")
        browser.fill("#q", "USER1")
        browser.press(Keys.ENTER)
        browser.wait(lambda: self.names() == [f"user{number}" for number in range(19, 9, -1)], "not found")
        browser.fill("#q", "")
        browser.press(Keys.ENTER)
        browser.wait(lambda: len(self.names()) == 25, "not all")
        browser.choose("#state", "disabled")
        browser.wait(lambda: self.names() == ["user07"], "the state is not applied")
        self.go("/web/users?q=nobody%20at%20all")
        browser.wait_for_text("Nobody matches.")


class Looks(UsersCase):
    def test_accessible_and_narrow_enough_in_both_themes(self) -> None:
        user = self.server.add_user("a-rather-long-name-" * 5, quota_size=10, permissions={"/": ["list"], "/a": ["*"]})
        for path in ("/web/users", f"/web/user/{user['id']}", f"/web/user/{user['id']}/delete", "/web/user"):
            self.go(path)
            for scheme, size in (("light", WIDE), ("dark", NARROW)):
                self.browser.scheme(scheme)
                self.browser.size(*size)
                self.assert_accessible()
                self.assertLessEqual(self.browser.script("return document.documentElement.scrollWidth"), size[0], path)

    def test_theme_is_remembered(self) -> None:
        def theme() -> str:
            found: str = self.browser.script("return document.documentElement.dataset.bsTheme")
            return found

        self.go("/web/users")
        self.assertEqual(theme(), "light")
        self.browser.click("#theme")
        self.assertEqual(theme(), "dark")
        self.go("/web/user")
        self.assertEqual(theme(), "dark")
        self.browser.click("#theme")
        self.assertEqual(theme(), "light")

    def test_weight_and_paint(self) -> None:
        user = self.server.add_user("light")
        for number in range(49):
            self.server.add_user(f"user{number:02}", quota_size=number, password="", public_keys=[KEY])
        for path in ("/web/users", f"/web/user/{user['id']}"):
            self.browser.fresh()
            self.go(path)
            paint, octets = self.browser.first_paint(), self.browser.weight()
            self.assertLess(octets, 200_000)
            print(f"\n{path}: {octets / 1000:.0f} KB, first paint after {paint:.0f} ms")


class Sessions(PageTestCase):
    config = GUARDED
    files = GUARDED_FILES

    def log_in(self, password: str = "admin-secret") -> None:
        self.browser.fill("#username", "admin")
        self.browser.fill("#password", password)
        self.browser.press(Keys.ENTER)

    def test_in_and_out(self) -> None:
        browser = self.browser
        self.go("/web/status")
        self.assertEqual(self.path, "/web/login?next=/web/status")
        self.assert_accessible()
        browser.scheme("dark")
        browser.size(*NARROW)
        self.assert_accessible()
        self.log_in("wrong")
        browser.wait_for_text("Name or password is wrong.")
        self.log_in()
        browser.wait_for_text("Live", "#live")
        self.assertEqual(self.path, "/web/status")
        (cookie,) = [cookie for cookie in browser.driver.get_cookies() if cookie["name"] == "sftpgo_session"]
        self.assertEqual((cookie["httpOnly"], cookie["sameSite"]), (True, "Strict"))
        self.assertEqual(browser.script("return document.cookie"), "")
        browser.click("header form button")
        browser.wait_for_text("Log in", "h1")
        self.go("/web/users")
        self.assertEqual(self.path, "/web/login?next=/web/users")

    def test_one_that_ends_in_mid_form_loses_nothing(self) -> None:
        browser = self.browser
        self.go("/web/user")
        self.log_in()
        browser.wait_for_text("Add a new user", "h1")
        browser.fill("#username", "kept")
        browser.fill("#home_dir", "/srv/kept")
        browser.fill("#password", "typed again")
        browser.driver.delete_cookie("sftpgo_session")
        self.expected.append("403")
        browser.click(".formbuttons .btn-primary")
        browser.wait_for_text("Your session had ended.")
        self.assertNotIn("typed again", browser.driver.page_source)
        self.log_in()
        browser.wait_for_text("What you typed is here again.")
        self.assertEqual(self.path, "/web/user")
        self.assertEqual(browser.find("#username").get_attribute("value"), "kept")
        self.assertEqual(browser.find("#home_dir").get_attribute("value"), "/srv/kept")

    def test_a_live_page_says_that_it_has_ended(self) -> None:
        browser = self.browser
        self.go("/web/connections")
        self.log_in()
        browser.wait_for_text("Live", "#live")
        # As of a server that has been started again.
        browser.driver.add_cookie({"name": "sftpgo_session", "value": "x", "httpOnly": True, "sameSite": "Strict"})
        self.expected.append("401")
        browser.script("window.dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
        browser.wait_for_text("Your session has ended", "#live")
        browser.click("#live a")
        browser.wait_for_text("Log in", "h1")
