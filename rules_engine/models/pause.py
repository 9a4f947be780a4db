"""Pauses: a rule, a model or everything held still for a while, without switching anything off."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.models.rule import Rule
from rules_engine.models.rule_set import AnnouncingModel, AnnouncingQuerySet


class PauseQuerySet(AnnouncingQuerySet):
    """Pauses, as ``Pause.objects`` gives them."""

    def current(self) -> PauseQuerySet:
        """Return those that still stand: with no end, or with one that has not come, by the database's clock."""
        going: PauseQuerySet = self.filter(Q(until__isnull=True) | Q(until__gt=Now())).annotate(now=Now())
        return going

    def is_everything(self) -> bool:
        """Say whether the whole site is paused."""
        return any(pause.is_everything for pause in self)

    def paused_slugs(self, rules: Iterable[tuple[str, str]]) -> set[str]:
        """Say which of these rules, as pairs of slug and model, one of the pauses stops."""
        pauses = list(self)
        return {slug for slug, model in rules if any(pause.stops(slug, model) for pause in pauses)}


class Pause(AnnouncingModel):
    """While it stands, no action of these rules is carried out. What was due already waits until it is lifted."""

    class Mode(models.TextChoices):
        HOLD = "hold", _("hold: what happens meanwhile is acted on afterwards")
        DROP = "drop", _("drop: what happens meanwhile is not looked at")

    rule_slug = models.CharField(_("rule"), max_length=100, blank=True, help_text=_("Its slug."))
    model = models.CharField(
        _("model"), max_length=200, blank=True, help_text=_("Such as clinic.doctor: all rules that watch it.")
    )
    mode = models.CharField(_("mode"), max_length=10, choices=Mode.choices, default=Mode.HOLD)
    reason = models.CharField(_("reason"), max_length=250, blank=True)
    #: A name and no reference: it says who it was, also when they are gone. Empty where code paused.
    paused_by = models.CharField(_("paused by"), max_length=150, blank=True, editable=False)
    #: The rule kept failing, and nobody paused it: ``live/breakers``.
    by_itself = models.BooleanField(_("paused by itself"), default=False, db_default=False, editable=False)
    created_at = models.DateTimeField(_("since"), db_default=Now(), editable=False)
    until = models.DateTimeField(
        _("until"), null=True, blank=True, help_text=_("Then it ends by itself; empty: when somebody resumes.")
    )

    objects = PauseQuerySet.as_manager()

    class Meta:
        verbose_name = _("pause")
        verbose_name_plural = _("pauses")
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return self.rule_slug or self.model or gettext("everything")

    def clean(self) -> None:
        """Ask for one scope only, and one that exists: what is mistyped would stop nothing, silently."""
        if self.rule_slug and self.model:
            raise ValidationError(gettext("Name a rule or a model, not both; name neither to pause everything."))
        if self.rule_slug and not Rule.objects.filter(slug=self.rule_slug).exists():
            raise ValidationError({"rule_slug": gettext('There is no rule "%s".') % self.rule_slug})
        if self.model and not Rule.objects.filter(model__iexact=self.model).exists():
            raise ValidationError({"model": gettext('No rule watches "%s".') % self.model})

    def has_ended(self) -> bool:
        """Say whether its end has come, by this process's clock."""
        return self.until is not None and self.until <= timezone.now()

    @property
    def seconds_left(self) -> float | None:
        """Say how long it still stands, of one that ``current()`` gave; None for one without an end."""
        now = getattr(self, "now", None)
        return None if self.until is None or now is None else float((self.until - now).total_seconds())

    @property
    def is_everything(self) -> bool:
        """Say whether it stops all rules."""
        return not self.rule_slug and not self.model

    def stops(self, slug: str, model: Any) -> bool:
        """Say whether it stops the rule of that slug, which watches that model."""
        return self.is_everything or (self.rule_slug == slug if self.rule_slug else self.watches(model))

    def watches(self, model: Any) -> bool:
        """Say whether it stops the rules on that model. Labels are the same in any case, as Django has them."""
        return bool(self.model) and self.model.lower() == str(model).lower()
