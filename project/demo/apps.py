"""Registers the demo: its command, its page and its own rules."""

from __future__ import annotations

from django.apps import AppConfig


class DemoConfig(AppConfig):
    """Everything on one machine, to look at."""

    name = "project.demo"
    label = "demo"
    verbose_name = "Demo"
