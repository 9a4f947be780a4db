"""Tests that are kept with a rule."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.databases.uncached import UncachedQuerySet
from rules_engine.errors import Problem
from rules_engine.logic.shape import shape_problems
from rules_engine.rules.expected.expectation import expectation_problems
from rules_engine.types import RuleTestSpec


class RuleTestQuerySet(UncachedQuerySet[Any]):
    """Tests, as ``RuleTest.objects`` gives them."""

    def get_by_natural_key(self, slug: str, name: str) -> RuleTest:
        """Return the test of that name of that rule, for fixtures."""
        return self.get(rule__slug=slug, name=name)  # type: ignore[no-any-return]


class RuleTest(models.Model):
    """A sample of an event, and what is expected of the rule with it.

    No part of the rule set: to keep one, or to change it, makes no process read its rules again.
    """

    rule = models.ForeignKey(
        "rules_engine.Rule", on_delete=models.CASCADE, related_name="tests", verbose_name=_("rule")
    )
    name = models.CharField(_("name"), max_length=200)
    signal = models.CharField(_("signal"), max_length=255)
    operation = models.CharField(_("operation"), max_length=10, blank=True, default="")
    occurred_at = models.DateTimeField(_("occurred"), help_text=_("The rule takes this time for now."))
    context = models.JSONField(_("context"), default=dict, blank=True)
    expected = models.JSONField(_("expected"), default=dict)

    objects: ClassVar[Any] = RuleTestQuerySet.as_manager()

    class Meta:
        verbose_name = _("rule test")
        verbose_name_plural = _("rule tests")
        ordering = ("rule", "name")
        #: Whoever may test rules keeps their tests.
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=("rule", "name"), name="rules_engine_test_name")]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Raise what ``full_clean`` says: each problem at its field."""
        context = shape_problems(self.context)
        if not isinstance(self.context, dict):
            context = [Problem("", gettext('Expected an object, such as {"instance": {…}}.'))]
        problems = {"context": context, "expected": expectation_problems(self.expected)}
        if found := {name: [str(one) for one in said] for name, said in problems.items() if said}:
            raise ValidationError(found)

    def natural_key(self) -> tuple[str, str]:
        """Return what fixtures call this test."""
        return (self.rule.slug, self.name)

    natural_key.dependencies = ["rules_engine.rule"]  # type: ignore[attr-defined]

    @property
    def object_pk(self) -> str:
        """Return the key of the object that the sample is about, as text; empty where it is about none."""
        context = self.context if isinstance(self.context, dict) else {}
        for part in ("event", "instance"):
            inner = context.get(part)
            if isinstance(inner, dict) and inner.get("pk") is not None:
                return str(inner["pk"])
        return ""

    def spec(self) -> RuleTestSpec:
        """Return the test as plain data."""
        return RuleTestSpec(self.name, self.signal, self.occurred_at, self.operation, self.context, self.expected)
