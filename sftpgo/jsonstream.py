"""JSON files of any size (RFC 8259), a member of an array at a time, in memory that the largest of them bounds."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import BinaryIO, NoReturn

#: Bytes read at a time, and the most characters that one value may have.
CHUNK = 64 * 1024
MAX_VALUE = 8 * 1024 * 1024

_SPACE = " \t\n\r"


def members(file: BinaryIO, key: str) -> Iterator[object]:
    """The values in the array under C{key} of the object that is all of the file.

    The key is matched without regard to case; C{null} counts as an empty array, and other keys are read over.

    @raise ValueError: when the file is no such object; the text says at which character.
    @raise OSError: when it cannot be read.
    """
    text = _Text(file)
    text.expect("{")
    if text.next_is("}"):
        text.expect_end()
        return
    while True:
        name = text.value()
        if not isinstance(name, str):
            raise text.error("expected a key")
        text.expect(":")
        if name.lower() != key:
            text.value()
        elif not text.next_is("null"):
            yield from _array(text)
        if text.next_is("}"):
            text.expect_end()
            return
        text.expect(",")


def _array(text: _Text) -> Iterator[object]:
    text.expect("[")
    if text.next_is("]"):
        return
    while True:
        yield text.value()
        if text.next_is("]"):
            return
        text.expect(",")


class _Text:
    """A window on the text of a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")
        self._text = ""
        self._at = 0
        self._before = 0
        self._ended = False

    def next_is(self, word: str) -> bool:
        """Whether this stands here, behind white space; then it is passed."""
        self._skip_space()
        while len(self._text) - self._at < len(word) and self._more(CHUNK):
            pass
        if not self._text.startswith(word, self._at):
            return False
        self._at += len(word)
        return True

    def expect(self, word: str) -> None:
        """Pass this; raises L{ValueError} when something else stands here."""
        if not self.next_is(word):
            raise self.error("unexpected end" if self._at == len(self._text) else f'expected "{word}"')

    def expect_end(self) -> None:
        """Raise L{ValueError} unless nothing but white space is left."""
        self._skip_space()
        if self._at < len(self._text):
            raise self.error("expected the end of the file")

    def value(self) -> object:
        """The value that stands here; raises L{ValueError} when there is none, or none of a bearable length."""
        self._skip_space()
        wanted = CHUNK
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
                # A number at the edge of the window may go on behind it, as 1 does in 1e+5.
                if len(self._text) - end > len("e+5") or self._ended:
                    break
            except (ValueError, RecursionError) as error:
                if self._ended or isinstance(error, RecursionError) or len(self._text) - self._at > MAX_VALUE:
                    raise self.error(_reason(error)) from error
            # Twice as much each time: a long value is not read over and over again.
            self._more(wanted)
            wanted *= 2
        if "\\u" in self._text[self._at : end]:
            _require_unicode(value)
        self._at = end
        return value

    def error(self, text: str) -> ValueError:
        """An error at this place."""
        return ValueError(f"{text} at character {self._before + self._at}")

    def _skip_space(self) -> None:
        while True:
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._text) or not self._more(CHUNK):
                return

    def _more(self, size: int) -> bool:
        """Read on and drop what is done with; C{False} at the end of the file."""
        if self._ended:
            return False
        data = self._file.read(size)
        self._ended = not data
        try:
            added = self._decoder.decode(data, final=self._ended)
        except UnicodeDecodeError as error:
            raise self.error("the text is not valid UTF-8 after what is read") from error
        self._before += self._at
        self._text = self._text[self._at :] + added
        self._at = 0
        return not self._ended


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "the value is nested too deeply"
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg}, in the value"
    return str(error)


def _require_unicode(value: object) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("a string holds half of a surrogate pair") from error


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)
