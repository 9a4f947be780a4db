"""Which object a command is about."""

from __future__ import annotations

from django.apps import apps
from django.core.management.base import CommandError

from rules_engine.context.paths import find_model
from rules_engine.errors import did_you_mean
from rules_engine.models import AuditEntry, Event


def model_label(written: str) -> str:
    """Find the label that records have for a model. One that is gone is found as long as something is recorded of it.

    Raises ``CommandError`` for one that never was.
    """
    model = find_model(written)
    if model is not None:
        return model._meta.label_lower
    label = written.lower()
    if Event.objects.filter(model=label).exists() or AuditEntry.objects.filter(model=label).exists():
        return label
    labels = sorted(model._meta.label_lower for model in apps.get_models())
    raise CommandError(f'There is no model "{written}".{did_you_mean(label, labels)} Write it like clinic.doctor.')
