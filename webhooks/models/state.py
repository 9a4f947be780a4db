"""How each endpoint does."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from rules_engine.sending import UncachedQuerySet


class EndpointState(models.Model):
    """How an endpoint does, in a row of its own: workers write it often, and people edit endpoints.

    Only ``endpoints/breaker.py`` writes what deliveries come to. Every time in it is the database's.
    """

    endpoint = models.OneToOneField(
        "webhooks.Endpoint",
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="state",
        verbose_name=_("endpoint"),
    )
    failures = models.PositiveIntegerField(_("failures in a row"), default=0, db_default=0)
    failing_since = models.DateTimeField(_("failing since"), null=True)
    last_error = models.TextField(_("last error"), blank=True, default="", db_default="")
    #: Pauses in a row; each is twice as long as the one before.
    pauses = models.PositiveIntegerField(_("pauses in a row"), default=0, db_default=0)
    paused_until = models.DateTimeField(_("paused until"), null=True)
    #: A probe is in flight; no second one begins before then.
    probe_until = models.DateTimeField(null=True)
    #: What the receiver asked for by Retry-After.
    asked_until = models.DateTimeField(_("asked to wait until"), null=True)
    #: When the next delivery fits into the endpoint's rate, if none had been saved up.
    rate_ready_at = models.DateTimeField(null=True)

    objects: ClassVar[models.Manager[EndpointState]] = UncachedQuerySet.as_manager()

    class Meta:
        verbose_name = _("endpoint state")
        verbose_name_plural = _("endpoint states")

    def __str__(self) -> str:
        return f"{self.endpoint_id}: {self.failures}"


def clean_state() -> dict[str, Any]:
    """Give the columns of an ``EndpointState`` that says nothing bad. What the receiver asked for is another matter."""
    return {
        "failures": 0,
        "failing_since": None,
        "last_error": "",
        "pauses": 0,
        "paused_until": None,
        "probe_until": None,
    }
