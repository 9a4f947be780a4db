"""Two people with the same rule open: whoever saves last is told, and overwrites nothing unknowingly."""

from __future__ import annotations

import hashlib
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext

from rules_engine.models import Rule


class SeenField(forms.CharField):
    """Goes out with a page and comes back with it: which form of the rule the page was drawn from."""

    widget = forms.HiddenInput

    def bound_data(self, data: Any, initial: Any) -> Any:
        # A page that was drawn again is of the rule as it is stored now.
        return initial

    def has_changed(self, initial: Any, data: Any) -> bool:
        return False


class SeenForm(forms.ModelForm):
    """Refuses, once, what was typed over a form of the rule that is no longer stored."""

    seen = SeenField(required=False)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if "seen" in self.fields and self.instance.pk:
            self.initial["seen"] = _mark_of(self.instance)

    def clean_seen(self) -> str:
        """What was seen. A request that says nothing of it is none of a page."""
        seen: str = self.cleaned_data["seen"]
        if seen and self.instance.pk and seen != self.initial["seen"]:
            # Said above all fields: this one is not to be seen.
            self.add_error(None, ValidationError(_said(self.instance), code="edit_conflict"))
        return seen


def _mark_of(rule: Rule) -> str:
    return hashlib.sha256(repr(rule.spec()).encode()).hexdigest()


def _said(rule: Rule) -> str:
    text = gettext(
        "This rule was changed after you opened this page, by somebody else or in another window. Look at "
        "{link}what is stored{end} and compare: what stands below is yours, and saving it again overwrites that."
    )
    url = reverse("admin:rules_engine_rule_change", args=[rule.pk])
    before, _link, rest = text.partition("{link}")
    linked, _end, after = rest.partition("{end}")
    return format_html('{}<a href="{}" target="_blank">{}</a>{}', before, url, linked, after)
