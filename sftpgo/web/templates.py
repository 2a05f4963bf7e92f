"""The templates of the pages: compiled once, so that no request waits for a disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Final

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, TemplateError, TemplateSyntaxError
from jinja2.loaders import BaseLoader

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


class Templates:
    """The server's own templates, each of which a file of the same name may stand in for.

    Names and values are escaped wherever they stand, and a name that is not there is an error.

    @param override: the directory of those files; it need not exist, and the file may C{extend} the server's own
        C{base.html}.
    """

    def __init__(self, override: str = "") -> None:
        loaders: list[BaseLoader] = [FileSystemLoader(override)] if override else []
        self._environment = Environment(
            loader=ChoiceLoader([*loaders, FileSystemLoader(_HERE)]),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            cache_size=-1,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(_FILTERS)
        self._environment.tests["calendar"] = shown.is_calendar_text

    def load(self) -> None:
        """Compile all of them; blocks.

        @raise StartupError: naming file and line of what is no template.
        """
        for name in self._environment.list_templates(extensions=["html"]):
            try:
                self._environment.get_template(name)
            except TemplateSyntaxError as error:
                where = f"{error.filename or name}, line {error.lineno}"
                raise StartupError(f"httpd.templates_path: {where}: {error.message}") from error
            except (TemplateError, OSError, UnicodeDecodeError) as error:
                raise StartupError(f"httpd.templates_path: {name}: {error}") from error

    def render(self, name: str, values: Mapping[str, object]) -> bytes:
        """The page."""
        text = self._environment.get_template(name).render(values)
        # A name may hold what has no UTF-8; a page is never refused for that.
        return text.encode("utf-8", "replace")
