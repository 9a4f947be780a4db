"""The demo's addresses, and grappelli's own where that is the theme."""

from __future__ import annotations

from django.conf import settings
from django.urls import include, path

from project.urls import urlpatterns as _of_the_demo

_of_the_theme = [path("grappelli/", include("grappelli.urls"))] if settings.THEME == "grappelli" else []
urlpatterns = [*_of_the_theme, *_of_the_demo]
