"""Values that somebody is about to store: one row a value, so that two savers at once never take the same one."""

from __future__ import annotations

import hashlib
import uuid
from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from rules_engine.databases.uncached import UncachedQuerySet
from rules_engine.surroundings.state import here


class Reservation(models.Model):
    """A value of one column that is being stored, known by its digest. ``held_until`` is by the database's clock."""

    digest = models.UUIDField(_("digest"), primary_key=True, editable=False)
    held_until = models.DateTimeField(_("held until"), db_index=True)

    objects: ClassVar[models.Manager[Reservation]] = UncachedQuerySet.as_manager()

    class Meta:
        verbose_name = _("reservation")
        verbose_name_plural = _("reservations")

    def __str__(self) -> str:
        return self.digest.hex


def digest_of(table: str, column: str, value: str) -> uuid.UUID:
    """Return the key of the reservation of a value, in the present surroundings: another schema has its own values."""
    surroundings = here()
    key = "\0".join((*([surroundings] if surroundings else ()), table, column, value)).encode("utf-8", "surrogatepass")
    return uuid.UUID(bytes=hashlib.blake2b(key, digest_size=16).digest())
