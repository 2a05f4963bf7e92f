"""Shows Twisted's docstrings, which are epytext, to Sphinx, which reads reStructuredText."""

import inspect
import re

from sphinx.ext.autodoc import ClassDocumenter

_INLINE = re.compile(r"\b([CLIB])\{((?:[^{}]|\{[^{}]*\})*)\}")
_FIELD = re.compile(r"^(\s*)@(param|ivar|cvar|raise|return)\b ?([^:]*):", re.MULTILINE)
_NAMES = {"param": "param", "ivar": "ivar", "cvar": "cvar", "raise": "raises", "return": "returns"}


def _inline(match):
    kind, text = match.groups()
    if kind == "L":
        text = text.removeprefix("sftpgo.errors.").rpartition(".")[2] if text.startswith("sftpgo.") else text
    return {"I": f"*{text}*", "B": f"**{text}**"}.get(kind, f"``{text}``")


def _field(match):
    indent, kind, name = match.groups()
    return f"{indent}:{_NAMES[kind]} {name}:" if name else f"{indent}:{_NAMES[kind]}:"


def translate(text):
    """The same in reStructuredText."""
    lines = _FIELD.sub(_field, _INLINE.sub(_inline, text)).split("\n")
    translated: list[str] = []
    in_fields = False
    for line in lines:
        # A list of fields begins after an empty line.
        is_field = line.lstrip().startswith(":")
        if is_field and not in_fields and translated and translated[-1].strip():
            translated.append("")
        in_fields = in_fields or is_field
        translated.append(line)
    return translated


def _process(app, what, name, obj, options, lines):
    lines[:] = translate("\n".join(lines))


class _Interface(ClassDocumenter):
    """zope's interfaces are instances; their methods are what there is to show."""

    objtype = "interface"
    directivetype = "class"
    priority = -1

    @classmethod
    def can_document_member(cls, member, membername, isattr, parent):
        """Only where it is asked for by name."""
        return False

    def format_args(self, **_kwargs):
        """No constructor."""
        return ""

    def document_members(self, all_members=False):
        """Each method with its docstring."""
        for name in self.object.names():
            method = self.object[name]
            source = self.get_sourcename()
            self.add_line("", source)
            self.add_line(f"   .. py:method:: {name}{method.getSignatureString()}", source)
            self.add_line("", source)
            for line in translate(inspect.cleandoc(method.__doc__ or "")):
                self.add_line(f"      {line}", source)


def setup(app):
    """Sphinx's entry."""
    app.add_autodocumenter(_Interface)
    app.connect("autodoc-process-docstring", _process)
    return {"parallel_read_safe": True}
