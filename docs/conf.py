"""Sphinx, for ``make docs``."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

project = "sftpgo"
author = "The sftpgo founders"
html_title = "sftpgo"
html_theme = "furo"
html_show_sphinx = False
html_show_copyright = False
exclude_patterns = ["_build"]

extensions = ["sphinx.ext.autodoc", "sphinx.ext.doctest", "epytext", "unlisted"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_class_signature = "mixed"
highlight_language = "none"
