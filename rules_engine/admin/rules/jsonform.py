"""The one place that knows django-jsonform: forms for action configs, drawn in the browser over a JSON textarea.

The package is used for its editor only. Its form field would refuse every config that leaves out an optional key, and
its validator changes the schema it is given; so what is posted is the text of the textarea, and the server validates
it with the action's own ``validate_config``. Without JavaScript, or without ``django_jsonform`` in INSTALLED_APPS,
the textarea is what people edit.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

from django import forms
from django.apps import apps
from django.utils.translation import gettext

from rules_engine.admin.limits.values import value_words
from rules_engine.errors import Problem
from rules_engine.rules import registry

#: How the editor writes the place of an error: its own ``JOIN_SYMBOL``.
_JOIN = "§"


def _plain(value: Any) -> Any:
    """A deep copy with lazy translations spoken."""
    return json.loads(json.dumps(copy.deepcopy(value), default=str))


def _shown(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema as the editor shows all of it: a list's help text, which it leaves out, goes into the title."""
    for field in schema.get("keys", schema.get("properties", {})).values():
        if field.get("type") in ("array", "list") and (words := field.pop("helpText", "")):
            field["title"] = f"{field.get('title', '')} ({words.rstrip('.')})"
    return schema


def forms_by_kind(user: Any = None) -> dict[str, dict[str, Any]]:
    """What the browser needs for each kind: ``{"schema": …, "timings": […], "initial": {…}}``."""
    return {
        kind: {
            "schema": _shown(_plain(action.form_schema(user))),
            "timings": list(action.timings),
            "initial": _plain(action.initial_config(user)),
        }
        for kind, action in registry.kinds().items()
    }


def error_map(problems: list[Problem]) -> dict[str, list[str]]:
    """Problems with pointers into a config, by the places the editor knows."""
    messages: dict[str, list[str]] = {}
    for problem in problems:
        steps = [step.replace("~1", "/").replace("~0", "~") for step in problem.pointer.split("/")[1:]]
        messages.setdefault(_JOIN.join(steps), []).append(problem.message)
    return messages


class ConfigWidget(forms.Textarea):
    """A textarea of JSON over which ``action-config.js`` draws the form of the row's kind."""

    def __init__(self, attrs: Mapping[str, Any] | None = None) -> None:
        base = {"rows": 6, "class": "rules-code", "spellcheck": "false", "autocomplete": "off"}
        super().__init__({**base, **(attrs or {})})
        #: Problems found in what was posted, with pointers into the config.
        self.problems: list[Problem] = []
        #: As ``forms_by_kind`` gives them for whoever is editing.
        self.kinds: Mapping[str, Any] | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> ConfigWidget:
        # Django copies widgets shallowly, and one row's problems are not another's.
        copied = super().__deepcopy__(memo)
        copied.problems = list(self.problems)
        return copied

    def build_attrs(self, base_attrs: Any, extra_attrs: Any = None) -> dict[str, Any]:
        attrs = super().build_attrs(base_attrs, extra_attrs)
        attrs["data-rules-kinds"] = json.dumps(forms_by_kind() if self.kinds is None else self.kinds)
        attrs["data-rules-errors"] = json.dumps(error_map(self.problems))
        attrs["data-rules-words"] = json.dumps(
            {
                "as_json": gettext("Edit as JSON"),
                "as_form": gettext("Edit as a form"),
                "broken": gettext("This is not JSON yet, so there is no form for it."),
                "undrawable": gettext("The form cannot show all of this, so it is edited as JSON and nothing is lost."),
                "row": gettext("%(title)s %(number)s"),
                **value_words(),
            }
        )
        return attrs

    @property
    def media(self) -> forms.Media:
        return editor_media() + forms.Media(
            css={"all": ["rules_engine/themes.css", "rules_engine/admin.css", "rules_engine/actions.css"]},
            js=[f"rules_engine/{name}.js" for name in ("value-picker", "action-config", "action-rows")],
        )


def editor_media() -> forms.Media:
    """The editor's own files; none where the app is not installed."""
    if not apps.is_installed("django_jsonform"):
        return forms.Media()
    from django_jsonform.widgets import JSONFormWidget

    media = JSONFormWidget(schema={}).media
    assert isinstance(media, forms.Media)  # noqa: S101 - for the type checker: the package has no types
    return media
