"""These tests are collected where their settings are those of tests.themes alone: nobody else has the themes."""

from __future__ import annotations

import os

from tests.browser.conftest import (  # noqa: F401 - fixtures
    _database_before_server,
    _pictures_for_who_asks,
    browse,
    chromium,
    shots,
)

collect_ignore_glob = [] if os.environ.get("DJANGO_SETTINGS_MODULE") == "tests.themes.settings" else ["test_*.py"]
