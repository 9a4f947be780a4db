"""The tests' settings with one of the admin's themes, which THEME names."""

from __future__ import annotations

import os

from django.core.exceptions import ImproperlyConfigured

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS, MIDDLEWARE

THEMES = ("unfold", "jazzmin", "grappelli")
THEME = os.environ.get("THEME", "")
if THEME not in THEMES:
    raise ImproperlyConfigured(f"THEME is {THEME!r}; it has to be one of {', '.join(THEMES)}.")

# First, as each of them asks: its templates and styles stand in for Django's.
INSTALLED_APPS = [THEME, *INSTALLED_APPS]
# Each of them has scripts and styles in its pages, which the demo's policy would keep from working.
MIDDLEWARE = [name for name in MIDDLEWARE if name != "project.security.ContentSecurityPolicyMiddleware"]
ROOT_URLCONF = "tests.themes.urls"
# Light or dark as the browser asks.
JAZZMIN_UI_TWEAKS = {"default_theme_mode": "auto"}
