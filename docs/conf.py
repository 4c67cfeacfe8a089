"""Sphinx settings of the documentation site; scripts/site builds it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

_TEXT = (Path(__file__).parents[1] / "ctmupgrade" / "__init__.py").read_text(encoding="utf-8")
_VERSION = re.search(r'(?m)^__version__ = "([^"]+)"', _TEXT)

project = "ctmupgrade"
author = "the ctmupgrade maintainers"
project_copyright = f"2026, {author}"
release = version = _VERSION[1] if _VERSION else ""

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_heading_anchors = 4  # links to headings, as GitHub makes them
myst_enable_extensions = ["colon_fence"]

html_theme = "furo"
html_title = f"ctmupgrade {release}"
html_show_sourcelink = False
html_show_sphinx = False
html_static_path: list[str] = []
suppress_warnings = [
    "toc.not_included"
]  # a check's page is reached from their list; tests/test_docs.py looks for others

# Nothing is asked of another machine when a page is read: a jump host has no internet.
html_theme_options = {"top_of_page_buttons": []}


def setup(app: Any) -> None:
    """Let links to files outside of this folder lead to the repository."""
    project_file = Path(__file__).parents[1] / "pyproject.toml"
    repository = tomllib.loads(project_file.read_text(encoding="utf-8"))["project"]["urls"]["Source"]

    def outside(_app: Any, _page: str, content: list[str]) -> None:
        content[0] = re.sub(r"\]\(\.\./(?=[A-Zcst])", f"]({repository}/blob/main/", content[0])

    app.connect("source-read", outside)
