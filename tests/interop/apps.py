"""The app of the models that these tests store."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import pre_migrate


class InteropConfig(AppConfig):
    name = "tests.interop"
    label = "interop"

    def ready(self) -> None:
        pre_migrate.connect(add_extension, sender=self)


def add_extension(using: str, **kwargs: Any) -> None:
    """What django-pgcrypto-fields would do in a migration."""
    with connections[using].cursor() as cursor:
        cursor.execute("CREATE EXTENSION IF NOT EXISTS pgcrypto")
