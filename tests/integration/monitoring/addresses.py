"""The demo's addresses, with those of monitors."""

from __future__ import annotations

from django.urls import include, path

from project.urls import urlpatterns as of_the_demo

urlpatterns = [*of_the_demo, path("monitoring/", include("rules_engine.monitoring.urls"))]
