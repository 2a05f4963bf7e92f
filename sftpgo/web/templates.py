"""The templates of the pages: compiled once, so that no request waits for a disk."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Final

from jinja2 import (
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
)

from sftpgo.errors import StartupError
from sftpgo.web import shown

_HERE: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "templates")

#: What templates may say of a value besides the value itself.
_FILTERS: Final[Mapping[str, Callable[..., object]]] = {
    "size": shown.size,
    "rate": shown.rate,
    "elapsed": shown.elapsed,
    "span": shown.span,
    "count": shown.count,
    "bandwidth": shown.bandwidth,
    "utc": shown.utc,
    "day": shown.day,
}


#: No template of ours has these; those of the original, which may still lie in the directory, are full of them.
_OF_THE_ORIGINAL: Final = re.compile(r"\{\{-?\s*(?:(?:define|template)\s+\"|\.)")


class _Override(FileSystemLoader):
    """A directory of somebody's own, but for what is in it in another language.

    @ivar ignored: the names of those.
    """

    def __init__(self, directory: str) -> None:
        super().__init__(directory)
        self.ignored: set[str] = set()

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        found = super().get_source(environment, template)
        if _OF_THE_ORIGINAL.search(found[0]):
            self.ignored.add(template)
            raise TemplateNotFound(template)
        return found


class Templates:
    """The server's own templates, each of which a file of the same name may stand in for.

    Names and values are escaped wherever they stand, and a name that is not there is an error.

    @param override: the directory of those files; it need not exist, and the file may C{extend} the server's own
        C{base.html}.
    """

    def __init__(self, override: str = "") -> None:
        self._own = FileSystemLoader(_HERE)
        self._override = _Override(override) if override else None
        loaders = [loader for loader in (self._override, self._own) if loader is not None]
        self._environment = Environment(
            loader=ChoiceLoader(loaders),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            cache_size=-1,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(_FILTERS)
        self._environment.tests["calendar"] = shown.is_calendar_text

    def load(self) -> tuple[str, ...]:
        """Compile all of them; blocks.

        @return: the names of files that stand in for nothing, for they are templates of the original.
        @raise StartupError: naming file and line of what is no template.
        """
        own = set(self._own.list_templates())
        for name in self._environment.list_templates(extensions=["html"]):
            try:
                self._environment.get_template(name)
            except TemplateSyntaxError as error:
                if name in own:
                    where = f"{error.filename or name}, line {error.lineno}"
                    raise StartupError(f"httpd.templates_path: {where}: {error.message}") from error
            except (TemplateError, OSError, UnicodeDecodeError) as error:
                if name in own:
                    raise StartupError(f"httpd.templates_path: {name}: {error}") from error
        return tuple(sorted(self._override.ignored)) if self._override is not None else ()

    def render(self, name: str, values: Mapping[str, object]) -> bytes:
        """The page."""
        text = self._environment.get_template(name).render(values)
        # A name may hold what has no UTF-8; a page is never refused for that.
        return text.encode("utf-8", "replace")
