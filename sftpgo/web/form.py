"""Forms as browsers send them: urlencoded (WHATWG URL, section 5)."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qsl

import attrs

from sftpgo.web import body
from sftpgo.web.request import Request
from sftpgo.web.respond import Refused

_MAX_FIELDS = 10_000


@attrs.frozen
class Form:
    """The fields of a form, by name; a name may stand more than once."""

    values: dict[str, tuple[str, ...]] = attrs.field(repr=False)

    @classmethod
    def parse(cls, sent: bytes, most: int = _MAX_FIELDS) -> Form:
        """Read a body of at most so many fields.

        @raise Refused: with 400 for what is not UTF-8, and for fields without end.
        """
        try:
            pairs = parse_qsl(sent.decode("utf-8"), keep_blank_values=True, max_num_fields=most, errors="strict")
        except UnicodeDecodeError as error:
            raise Refused(400, "the form is not valid UTF-8") from error
        except ValueError as error:
            raise Refused(400, f"the form has more than {most} fields") from error
        return cls.of(pairs)

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> Form:
        """Of names and values in order."""
        values: dict[str, list[str]] = {}
        for name, value in pairs:
            values.setdefault(name, []).append(value)
        return cls({name: tuple(given) for name, given in values.items()})

    def text(self, name: str) -> str:
        """The first value of this name; empty when there is none."""
        return self.values.get(name, ("",))[0]

    def all(self, name: str) -> tuple[str, ...]:
        """All values of this name."""
        return self.values.get(name, ())

    def __contains__(self, name: str) -> bool:
        return name in self.values


def sent_with(request: Request) -> Form:
    """The form in the body; to be called before a handler first waits."""
    return Form.parse(body.read(request))
