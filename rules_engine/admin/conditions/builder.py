"""The condition builder over the rule form's JSON textareas: what it is handed, and where it asks for fields."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase, JsonResponse
from django.urls import path, reverse
from django.utils.cache import patch_cache_control
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.conditions.fields import fields_of, may_view
from rules_engine.admin.conditions.words import OPERATORS, happening, sent, words
from rules_engine.admin.parts.json_fields import JSONTextField, sentence
from rules_engine.context.paths import find_model, is_denied
from rules_engine.errors import Problem

CODE = {"class": "rules-code", "spellcheck": "false", "autocomplete": "off"}
SCRIPTS = (
    "source",
    "operands",
    "rows",
    "moves",
    "fields",
    "values",
    "panel",
    "editor",
    "sides",
    "row",
    "builder",
    "changes",
)


class BuilderWidget(forms.Textarea):
    """A textarea of JSON, which is what is posted; scripts draw rows over it where there are scripts."""

    #: The attribute by which the scripts find it.
    drawn_as = "data-rules-condition"
    #: In this order: each uses what the ones before it have put into ``window.rulesEngine``.
    scripts: tuple[str, ...] = tuple(f"rules_engine/condition-{name}.js" for name in SCRIPTS)

    def __init__(self, attrs: Mapping[str, Any] | None = None) -> None:
        super().__init__({**CODE, **(attrs or {})})
        #: Problems found in what was posted, with pointers into it.
        self.problems: list[Problem] = []

    def __deepcopy__(self, memo: dict[int, Any]) -> BuilderWidget:
        # As for action configs: Django copies widgets shallowly.
        copied = super().__deepcopy__(memo)
        copied.problems = list(self.problems)
        return copied

    def build_attrs(self, base_attrs: Any, extra_attrs: Any = None) -> dict[str, Any]:
        attrs = super().build_attrs(base_attrs, extra_attrs)
        attrs[self.drawn_as] = json.dumps(self.config())
        attrs["data-rules-problems"] = json.dumps(
            [
                {"pointer": problem.pointer, "message": problem.message, "text": sentence(problem)}
                for problem in self.problems
            ]
        )
        return attrs

    def config(self) -> dict[str, Any]:
        """What the scripts need to know beforehand."""
        return {
            "address": reverse("admin:rules_engine_rule_fields"),
            "words": words(),
            "operators": OPERATORS,
            "happening": happening(),
            "signals": sent(),
        }

    @property
    def media(self) -> forms.Media:
        return forms.Media(
            css={"all": ["rules_engine/condition.css"]},
            js=self.scripts,
        )


class ChangesWidget(BuilderWidget):
    """Draw the editor of the list of change conditions."""

    drawn_as = "data-rules-changes"
    #: What happens is chosen above the rows, by a script that uses their editor.
    scripts = (*BuilderWidget.scripts, "rules_engine/rule-schedule.js", "rules_engine/rule-when.js")


class ChangesField(JSONTextField):
    """Change conditions."""

    def __init__(self) -> None:
        super().__init__(
            label=_("Only if these fields changed"),
            empty=[],
            widget=ChangesWidget({"rows": 4, "placeholder": '[{"field": "status", "from": "draft", "to": "paid"}]'}),
            help_text=_(
                'A JSON list such as [{"field": "status", "to": "paid"}, {"field": "email"}]. "from" and "to" can be '
                "left out; all of the list must hold. Empty: any change."
            ),
        )


class ConditionField(JSONTextField):
    """A condition."""

    def __init__(self) -> None:
        super().__init__(
            label=_("Condition"),
            empty=None,
            widget=BuilderWidget({"rows": 8, "placeholder": '{">": [{"var": "instance.total"}, 100]}'}),
            help_text=_(
                'JSONLogic, such as {"and": [{"==": [{"var": "instance.status"}, "paid"]}, '
                '{">": [{"var": "instance.total"}, 100]}]}. Paths begin with instance, old, changed, changes, actor '
                "or request. Empty: always."
            ),
        )


class FieldsMixin:
    """Adds to the admin of rules the address that the scripts ask for a model's fields."""

    def get_urls(self: Any) -> list[Any]:
        """The address, before the admin's own, whose last one takes any."""
        view = self.admin_site.admin_view(self.fields_view)
        return [path("fields/", view, name="rules_engine_rule_fields"), *super().get_urls()]  # type: ignore[misc]

    def fields_view(self: Any, request: HttpRequest) -> HttpResponseBase:
        """The fields of one model, for those who may edit rules and view the model."""
        if not (self.has_change_permission(request) or self.has_add_permission(request)):
            raise PermissionDenied
        model = find_model(request.GET.get("model", ""))
        if model is None or is_denied(model):
            raise Http404(gettext("There is no such model."))
        if not may_view(request.user, model):
            raise PermissionDenied
        response = JsonResponse(fields_of(model, request.user))
        patch_cache_control(response, private=True, no_store=True)
        return response
