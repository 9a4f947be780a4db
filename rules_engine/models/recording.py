"""Recordings: for a set time every event of a model is kept, whether a rule matched or not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.context.paths import find_model, is_denied
from rules_engine.models.rule_set import AnnouncingModel, AnnouncingQuerySet

#: What is forgotten to be stopped must not cost a row an event for ever.
LONGEST = timedelta(days=31)


class RecordingQuerySet(AnnouncingQuerySet):
    """Recordings, as ``Recording.objects`` gives them."""

    def current(self) -> RecordingQuerySet:
        """Return those that go on, by the database's clock, each with that clock's ``now``."""
        found: RecordingQuerySet = self.filter(until__gt=Now()).annotate(now=Now())
        return found


class Recording(AnnouncingModel):
    """While it lasts, each event of the model leaves a row, with all fields that rules may read."""

    model = models.CharField(_("model"), max_length=200, help_text=_("Such as shop.order."))
    until = models.DateTimeField(_("until"), help_text=_("Then it ends by itself."))
    #: A name and no reference: it says who it was, also when they are gone. Empty where code began it.
    started_by = models.CharField(_("started by"), max_length=150, blank=True, editable=False)
    created_at = models.DateTimeField(_("since"), db_default=Now(), editable=False)

    objects = RecordingQuerySet.as_manager()

    class Meta:
        verbose_name = _("recording")
        verbose_name_plural = _("recordings")
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return self.model

    def clean(self) -> None:
        """Ask for a model that rules may listen to, and an end that will come."""
        if not self.model:
            return  # That it is missing was said by the field.
        model = find_model(self.model)
        if model is None:
            raise ValidationError({"model": gettext('There is no model "%s".') % self.model})
        if is_denied(model):
            raise ValidationError({"model": gettext("Rules may not listen to this model, so it cannot be recorded.")})
        self.model = model._meta.label_lower
        now = timezone.now()
        if self.until is not None and not now < self.until <= now + LONGEST:
            raise ValidationError({"until": gettext("Expected a time within the next %s days.") % LONGEST.days})

    @property
    def is_going_on(self) -> bool:
        """Say whether its end has not come."""
        return self.until > timezone.now()

    @property
    def seconds_left(self) -> float:
        """Say how long it goes on, of one that ``current()`` gave."""
        now: Any = getattr(self, "now", None) or timezone.now()
        return float((self.until - now).total_seconds())
