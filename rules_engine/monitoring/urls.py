"""The addresses: ``path("rules/", include("rules_engine.monitoring.urls"))`` in a site's own."""

from __future__ import annotations

from django.urls import path

from rules_engine.monitoring import views

app_name = "rules_engine_monitoring"

urlpatterns = [path("metrics", views.metrics, name="metrics"), path("health", views.health, name="health")]
