"""How the documentation's site is built: ``uv run --group docs sphinx-build -W --keep-going -n docs build/docs``."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

# The API reference is read from docstrings, and Django's models can only be imported with settings. These make no
# folder and no database.
settings.configure(
    SECRET_KEY="for reading docstrings only",  # noqa: S106
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "rules_engine", "webhooks"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    USE_TZ=True,
)
django.setup()

from rules_engine import __version__  # noqa: E402 - Django first

project = "django-signal-rules"
author = "django-signal-rules contributors"
project_copyright = author
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["build"]
templates_path: list[str] = []

myst_heading_anchors = 3
myst_links_external_new_tab = False

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
# Annotations name types of Python, Django and the inside of the engine, which have no page here. What the pages
# themselves refer to is checked.
nitpick_ignore_regex = [("py:(class|data|obj)", r".*")]


def readable(app: Any, what: str, name: str, obj: Any, options: Any, signature: str, returns: str) -> Any:
    """Write a signature as one reads it: without the modules of its types, and without addresses of defaults."""
    if signature is None:
        return None
    signature = re.sub(r"~(?:\w+\.)+", "", signature)
    signature = signature.replace("<factory>", "{}").replace("<class 'tuple'>", "tuple")
    return re.sub(r"<function (\w+)>", r"\1", signature), returns


def setup(app: Sphinx) -> None:
    """What Sphinx calls first."""
    app.connect("autodoc-process-signature", readable)


html_theme = "furo"
html_title = f"django-signal-rules {release}"
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
