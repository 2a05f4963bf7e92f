"""Somebody with a browser that runs no scripts: keeps cookies, reads the forms of a page, fills them in, sends them."""

from __future__ import annotations

from html.parser import HTMLParser
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urljoin

import attrs

from tests.web.talk import HOST, Reply, Server

BROWSER = {"User-Agent": "Mozilla/5.0", "Sec-Fetch-Site": "same-origin", "Referer": f"http://{HOST}/"}

#: Elements without an end tag.
_VOID = frozenset({"input", "img", "link", "meta", "br", "hr"})


@attrs.define
class Form:
    """A form, with what stands in it."""

    method: str
    action: str
    fields: list[tuple[str, str]] = attrs.field(factory=list)

    def filled(self, **values: str | list[str]) -> list[tuple[str, str]]:
        """What is sent with these values in place of those that stand there."""
        kept = [(name, value) for name, value in self.fields if name not in values]
        for name, value in values.items():
            kept += [(name, one) for one in ([value] if isinstance(value, str) else value)]
        return kept

    def value(self, name: str) -> str:
        return dict(reversed(self.fields))[name]


class Page(HTMLParser):
    """What a page holds.

    @ivar forms: those with fields inside of them.
    @ivar links: where its links lead.
    @ivar actions: buttons that send a form elsewhere, as (address, name, value).
    @ivar text: all of its text.
    @ivar tags: (name, attributes) of every element.
    """

    def __init__(self, reply: Reply, path: str) -> None:
        super().__init__(convert_charrefs=True)
        self.status = reply.status
        self.path = path
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.actions: list[tuple[str, str, str]] = []
        self.text = ""
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.unclosed: list[str] = []
        self._area: list[str] | None = None
        self._area_name = ""
        self._select = ""
        self.feed(reply.body.decode())
        self.close()

    def handle_starttag(self, tag: str, given: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in given]
        assert len(names) == len(set(names)), f"{tag} has an attribute twice: {names}"
        attributes = {name: value or "" for name, value in given}
        self.tags.append((tag, attributes))
        if tag not in _VOID:
            self.unclosed.append(tag)
        if tag == "a":
            self.links.append(urljoin(self.path, attributes["href"]))
        elif tag == "form":
            self.forms.append(Form(attributes.get("method", "get"), attributes.get("action", self.path)))
        elif tag == "input" and "name" in attributes and self.forms:
            kind = attributes.get("type", "text")
            if kind not in ("checkbox", "radio") or "checked" in attributes:
                self.forms[-1].fields.append((attributes["name"], attributes.get("value", "")))
        elif tag == "textarea":
            self._area, self._area_name = [], attributes["name"]
        elif tag == "select":
            self._select = attributes.get("name", "")
        elif tag == "option" and "selected" in attributes and self._select:
            self.forms[-1].fields.append((self._select, attributes.get("value", "")))
        elif tag == "button" and "formaction" in attributes:
            self.actions.append((attributes["formaction"], attributes.get("name", ""), attributes.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        assert self.unclosed.pop() == tag, f"</{tag}> closes something else"
        if tag == "textarea" and self._area is not None:
            self.forms[-1].fields.append((self._area_name, "".join(self._area).removeprefix("\n")))
            self._area = None

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._area is not None:
            self._area.append(data)

    def form(self, action: str) -> Form:
        (found,) = [form for form in self.forms if form.action == action]
        return found

    def words(self) -> str:
        return " ".join(self.text.split())

    def fault(self, field: str) -> str:
        """The text that stands at a field; the field has to refer to it."""
        ids = {attributes.get("id"): attributes for _, attributes in self.tags}
        if f"{field}-fault" not in ids:
            return ""
        assert f"{field}-fault" in ids[field]["aria-describedby"].split(), field
        found = HTMLText(f"{field}-fault")
        found.feed(self.rawdata_)
        return found.text

    rawdata_ = ""


class HTMLText(HTMLParser):
    """The text of the element with an id."""

    def __init__(self, wanted: str) -> None:
        super().__init__()
        self._wanted = wanted
        self._inside = False
        self.text = ""

    def handle_starttag(self, tag: str, given: list[tuple[str, str | None]]) -> None:
        self._inside = ("id", self._wanted) in given

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.text += data


class Visitor:
    """One browser."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.cookies: dict[str, str] = {}
        self.last: Reply | None = None

    async def ask(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> Reply:
        """One request."""
        sent = dict(BROWSER)
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if method != "GET":
            sent["Origin"] = f"http://{HOST}"
        reply = self.last = await self.server.call(method, path, body, sent | (headers or {}))
        for header in reply.headers.get_all("Set-Cookie") or []:
            for name, morsel in SimpleCookie(header).items():
                assert morsel["httponly"], header
                assert morsel["samesite"] == "Strict", header
                if morsel.value:
                    self.cookies[name] = morsel.value
                else:
                    self.cookies.pop(name, None)
        return reply

    async def get(self, path: str) -> Page:
        """A page."""
        return self._page(await self.ask("GET", path), path)

    async def send(self, action: str, fields: list[tuple[str, str]]) -> Page | str:
        """A form; the page that it gives, or where it leads."""
        reply = await self.ask("POST", action, urlencode(fields).encode())
        if reply.status == 303:
            return reply.headers["Location"]
        return self._page(reply, action)

    def _page(self, reply: Reply, path: str) -> Page:
        assert reply.headers["Content-Type"] == "text/html; charset=utf-8", reply
        page = Page(reply, path)
        page.rawdata_ = reply.body.decode()
        assert page.unclosed == ["html"] or not page.unclosed, page.unclosed
        return page
