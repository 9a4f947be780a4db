"""These tests are collected where their settings are those of tests.interop alone: nobody else has the packages."""

from __future__ import annotations

import os

from tests.integration.conftest import noted as noted

collect_ignore_glob = [] if os.environ.get("DJANGO_SETTINGS_MODULE") == "tests.interop.settings" else ["test_*.py"]
