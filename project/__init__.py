"""The demo project: a site of three small apps that rules can be tried on."""

from __future__ import annotations

from project.celery import app as celery_app

__all__ = ["celery_app"]
