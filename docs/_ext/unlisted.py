"""Lists at the end of the index what no other part of it names, so that no page is ever out of reach."""

from pathlib import Path


def _read(app, docname, source):
    if docname != "index":
        return
    named = {line.strip() for line in source[0].splitlines()}
    pages = sorted(path.stem for path in Path(app.srcdir).glob("*.rst") if path.stem not in (*named, "index"))
    if pages:
        source[0] += "\n.. toctree::\n   :caption: More\n\n" + "".join(f"   {page}\n" for page in pages)


def setup(app):
    """Sphinx's entry."""
    app.connect("source-read", _read)
    return {"parallel_read_safe": True}
