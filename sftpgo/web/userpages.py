"""C{/web/user}: the form that adds a user, or changes one."""

from __future__ import annotations

from typing import Final

import attrs
from twisted.internet.defer import DeferredLock

from sftpgo.domain.explain import OPERATIONS
from sftpgo.domain.permissions import Permission
from sftpgo.domain.user import User
from sftpgo.errors import MethodDisabled, NotFound, ProviderError, ValidationError
from sftpgo.interfaces import IAccounts
from sftpgo.web import form, notices, parameters
from sftpgo.web.entrance import own_path
from sftpgo.web.form import Form
from sftpgo.web.keyview import KeyView, view_of
from sftpgo.web.listing import PATH as LIST
from sftpgo.web.login import moved
from sftpgo.web.pages import Pages
from sftpgo.web.parameters import Query
from sftpgo.web.request import Request
from sftpgo.web.respond import Content
from sftpgo.web.routes import Route
from sftpgo.web.typed import Typed, lines, version_of, writable
from sftpgo.web.userform import Reading, read

_ADD: Final = "/web/user"

#: What stands above the form when it was not saved.
_STALE: Final = (
    "This form was open for too long, or the server was started again in between. Nothing was saved. "
    "What you typed is still here: save it once more."
)
_CHANGED: Final = (
    "Somebody else has changed this user since you opened the form. Nothing was saved. "
    "Saving once more replaces what they did by what stands here."
)
_GONE: Final = (
    "This user was deleted while you had the form open. Nothing was saved. "
    "What you typed is still here: saving it adds the user anew, with a password or a key."
)
_ENDED: Final = "Your session had ended before this was sent, so nothing was saved. What you typed is here again."
_TAKEN: Final = "there is a user of this name already"
_DOWN: Final = "The data provider failed, so nothing was saved. It says"
_GOOD: Final = "Everything is in order. Nothing was saved yet."


@attrs.frozen
class _View:
    """What the form shows besides what is typed.

    @ivar stored: the user that is changed; C{None} for one that is added.
    @ivar error: what is wrong with the form as a whole; C{faults} is by field.
    @ivar back: where to go from here.
    @ivar differences: (field, what is stored now, what is typed) where somebody else's change says otherwise.
    """

    stored: User | None = None
    error: str = ""
    faults: dict[str, str] = attrs.field(factory=dict)
    notice: str = ""
    differences: tuple[tuple[str, str, str], ...] = ()
    status: int = 200
    back: str = LIST


class UserPages:
    """Adds users and changes them.

    @param changes: held while a record is loaded, compared and stored.
    """

    def __init__(self, accounts: IAccounts, changes: DeferredLock, pages: Pages) -> None:
        self._accounts = accounts
        self._changes = changes
        self._pages = pages

    def routes(self) -> tuple[Route, ...]:
        """What this answers."""
        return (
            Route("GET", _ADD, self.new, page=True),
            Route("POST", _ADD, self.add, page=True),
            Route("GET", f"{_ADD}/<user_id>", self.show, page=True),
            Route("POST", f"{_ADD}/<user_id>", self.update, page=True),
        )

    async def new(self, request: Request) -> Content:
        """The empty form, or with C{clone} one that is filled like a user's, but for what is theirs alone."""
        given = _draft(request)
        if given is not None:
            return await self._form(request, Typed.of_form(given), _View(error=_ENDED, back=_back(given)))
        query = Query(request)
        if not query.text("clone"):
            return await self._form(request, Typed(), _View())
        model = await self._accounts.by_id(parameters.integer(query.text("clone"), "clone"))
        typed = attrs.evolve(Typed.of_user(model), username="", public_keys="", home_dir="", version="")
        notice = f"Filled in like “{model.username}”, but for name, password, keys and home."
        return await self._form(request, typed, _View(notice=notice))

    async def add(self, request: Request) -> Content:
        """Store what was sent as a new user."""
        given = form.sent_with(request)
        typed = Typed.of_form(given)
        # A form may be a megabyte of networks.
        reading: Reading = await self._pages.run_in_thread(read, given, User())
        view = await self._checked(request, given, reading, _View(back=_back(given)))
        if view is not None:
            return await self._form(request, typed, view)
        try:
            added = await self._accounts.add(reading.user)
        except (ValidationError, ProviderError, MethodDisabled) as error:
            return await self._form(request, typed, _refused(_View(back=_back(given)), error, typed))
        notices.leave(request, "added", added.username)
        return moved(_back(given))

    async def show(self, request: Request, user_id: str) -> Content:
        """The form filled with a stored user."""
        stored = await self._accounts.by_id(parameters.user_id(user_id))
        given = _draft(request)
        if given is not None:
            return await self._form(request, Typed.of_form(given), _View(stored, _ENDED, back=_back(given)))
        view = _View(stored, back=own_path(Query(request).text("back")))
        return await self._form(request, Typed.of_user(stored), view)

    async def update(self, request: Request, user_id: str) -> Content:
        """Store what was sent in place of what is stored, unless somebody else has changed that."""
        wanted, given = parameters.user_id(user_id), form.sent_with(request)
        async with self._changes:
            stored = await self._update(request, wanted, given)
        if isinstance(stored, User):
            notices.leave(request, "updated", stored.username)
            return moved(_back(given))
        return await self._form(request, *stored)

    async def _update(self, request: Request, wanted: int, given: Form) -> User | tuple[Typed, _View]:
        """The user that was changed, or the form to show because none was."""
        typed = Typed.of_form(given)
        try:
            stored = await self._accounts.by_id(wanted)
        except ProviderError as error:
            # Without the record nothing can be checked, and yet nothing is lost.
            unknown = User(id=wanted, username=typed.username)
            return typed, _View(unknown, f"{_DOWN}: {error}", back=_back(given))
        except NotFound:
            return attrs.evolve(typed, version=""), _View(error=_GONE, status=404, back=_back(given))
        reading: Reading = await self._pages.run_in_thread(read, given, stored)
        view = await self._checked(request, given, reading, _View(stored, back=_back(given)))
        if view is None and typed.version and typed.version != version_of(stored):
            view = _View(stored, _CHANGED, differences=_differences(typed, stored), back=_back(given))
            typed = attrs.evolve(typed, version=version_of(stored))
        if view is not None:
            return typed, view
        try:
            await self._accounts.update(reading.user)
        except (ValidationError, ProviderError, MethodDisabled, NotFound) as error:
            return typed, _refused(_View(stored, back=_back(given)), error, typed)
        return stored

    async def _checked(self, request: Request, given: Form, reading: Reading, view: _View) -> _View | None:
        """What keeps this form from being stored; C{None} for nothing."""
        if not self._pages.tokens.good(request, given.text("form_token")):
            return attrs.evolve(view, error=_STALE)
        faults = dict(reading.faults)
        if view.stored is None and await self._taken(reading.user.username):
            faults["username"] = _TAKEN
        if faults:
            return attrs.evolve(view, faults=faults)
        if "check" not in given:
            return None
        try:
            await self._pages.run_in_thread(self._accounts.check, reading.user)
        except (ValidationError, MethodDisabled) as error:
            return _refused(view, error, Typed.of_form(given))
        return attrs.evolve(view, notice=_GOOD)

    async def _taken(self, username: str) -> bool:
        try:
            await self._accounts.by_name(username)
        except (NotFound, ProviderError):
            return False  # a store that is down says so when it is to keep the user
        return True

    async def _form(self, request: Request, typed: Typed, view: _View) -> Content:
        return await self._pages.render(
            request,
            "user.html",
            status=view.status,
            typed=typed,
            view=view,
            action=_ADD if view.stored is None else f"{_ADD}/{view.stored.id}",
            back=view.back,
            all_permissions=[str(permission) for permission in Permission],
            operations=list(OPERATIONS),
            keys=await self._pages.run_in_thread(_keys, typed.public_keys),
            kept=_kept(view.stored),
        )


def _keys(text: str) -> list[tuple[str, KeyView | None]]:
    return [(line, view_of(line)) for line in lines(text) if line.strip()]


def _kept(stored: User | None) -> list[str]:
    """Directories whose permissions the form cannot show."""
    if stored is None:
        return []
    return [path for path, names in stored.permissions.items() if path != "/" and not writable(path, names)]


def _refused(view: _View, error: Exception, typed: Typed) -> _View:
    """The view with the error at its field, or above the form."""
    if not isinstance(error, ValidationError) or not error.field:
        told = f"{_DOWN}: {error}" if isinstance(error, ProviderError) else str(error)
        return attrs.evolve(view, error=told)
    field = error.field
    if field == "permissions" and typed.permissions and typed.sub_dirs_permissions.strip():
        field = "sub_dirs_permissions"
    return attrs.evolve(view, faults={field: error.text})


def _differences(typed: Typed, stored: User) -> tuple[tuple[str, str, str], ...]:
    now = Typed.of_user(stored)
    compared = {field.name for field in attrs.fields(Typed)} - {"password", "clear_password", "version"}
    differing = sorted(name for name in compared if _plain(getattr(now, name)) != _plain(getattr(typed, name)))
    return tuple((name, _plain(getattr(now, name)), _plain(getattr(typed, name))) for name in differing)


def _plain(value: str | tuple[str, ...]) -> str:
    return "\n".join(lines(value)).strip() if isinstance(value, str) else ", ".join(value)


def _draft(request: Request) -> Form | None:
    """What was sent here when the session had ended; shown once."""
    session = request.session
    if session is None or session.draft is None or session.draft.path.encode("ascii") != request.path:
        return None
    draft, session.draft = session.draft, None
    return Form.parse(draft.body)


def _back(given: Form) -> str:
    return own_path(given.text("back")) if "back" in given else LIST
