"""Ready templates for common rules: an administrator fills in a model, fields and texts, and gets a rule.

In the admin they are called templates; here ready templates, to keep them apart from the templates of texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from django import forms
from django.apps import apps
from django.core.exceptions import ValidationError
from django.utils.text import capfirst, slugify
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.context.paths import ModelClass, find_model, is_denied, label_of
from rules_engine.errors import Problem
from rules_engine.rules import registry
from rules_engine.rules.permissions import lacking, needed
from rules_engine.rules.validation import rule_problems
from rules_engine.types import ActionSpec, RuleSpec

HAPPENS = {"create": _("created"), "update": _("updated"), "delete": _("deleted")}
#: A slug has 100 characters; the rest is room for a number, where the slug is taken.
LONGEST_SLUG_OF_TEMPLATE = 90


def split_names(text: str) -> list[str]:
    """Split names with commas, blanks or line breaks between them."""
    return [name for name in re.split(r"[,\s]+", text) if name]


def lines_of(text: str) -> list[str]:
    """Return the lines that are not empty."""
    return [line.strip() for line in text.splitlines() if line.strip()]


class ReadyTemplateForm(forms.Form):
    """What every ready template asks for. ``spec`` is the rule once the form is valid."""

    template: ClassVar[ReadyTemplate]
    #: Where problems of the rule are said, by the beginning of their pointer; the longest that fits.
    places: ClassVar[Mapping[str, str]] = {}

    model = forms.ChoiceField(label=_("Model"), help_text=_("What the rule watches."))
    spec: RuleSpec

    def __init__(self, user: Any, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.user = user
        self.fields["model"].choices = [("", gettext("– choose –")), *model_choices(user)]  # type: ignore[attr-defined]
        self.fields["name"] = forms.CharField(
            label=gettext("Name of the rule"),
            max_length=200,
            required=False,
            help_text=gettext("Empty: one is made up."),
        )

    def rule(self, asked: Mapping[str, Any]) -> RuleSpec:
        """Return the rule for what was filled in, without name and slug."""
        raise NotImplementedError(f"{type(self).__name__} has no rule().")

    def clean(self) -> dict[str, Any]:
        """Build the rule, and say what is wrong with it where it was typed."""
        asked = super().clean() or self.cleaned_data
        if self.errors:
            return asked
        self.spec = named(self.rule(asked), self.template, asked.get("name") or "")
        problems = rule_problems(self.spec)
        # One name that was typed may stand at several places of the rule; it is wrong once.
        said = {(self._place(problem), re.sub(r"^Line \d+: ", "", problem.message)): None for problem in problems}
        for place, message in said:
            self.add_error(place, ValidationError(message, code="rule"))
        if not problems and (missing := lacking(self.user, needed(self.spec))):
            text = gettext("A rule can do no more than its author, and you lack the permission %(missing)s.")
            self.add_error(None, ValidationError(text % {"missing": ", ".join(missing)}, code="ceiling"))
        return asked

    def _place(self, problem: Problem) -> str | None:
        known = {"/model": "model", **self.places}
        fitting = [place for place in known if problem.pointer.startswith(place)]
        return known[max(fitting, key=len)] if fitting else None


@dataclass(frozen=True, slots=True)
class ReadyTemplate:
    """A ready template: its key in addresses, a title, one sentence, and the form that makes the rule."""

    key: str
    title: Any
    description: Any
    form: type[ReadyTemplateForm]
    #: The kinds of action it needs; without them it is not offered.
    kinds: tuple[str, ...]

    def form_for(self, user: Any, data: Any = None) -> ReadyTemplateForm:
        """Return the form for somebody, bound to what was posted if anything was."""
        form = type(self.form.__name__, (self.form,), {"template": self})
        made: ReadyTemplateForm = form(user, data)
        return made


def model_choices(user: Any) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the models that rules may listen to and the user may view, by app."""
    groups = []
    for config in apps.get_app_configs():
        models = [model for model in config.get_models() if not is_denied(model) and _may_view(user, model)]
        labels = sorted(
            (label_of(model), f"{capfirst(model._meta.verbose_name)} ({label_of(model)})") for model in models
        )
        groups += [(str(config.verbose_name), labels)] if labels else []
    return sorted(groups, key=lambda group: group[0].lower())


def _may_view(user: Any, model: ModelClass) -> bool:
    return bool(user.has_perm(f"{model._meta.app_label}.view_{model._meta.model_name}"))


def named(rule: RuleSpec, template: ReadyTemplate, name: str) -> RuleSpec:
    """Return the rule with its name, or one of the template's, a slug to begin with, and switched off."""
    model = find_model(rule.model)
    subject = str(model._meta.verbose_name) if model is not None else rule.model
    title = name or f"{template.title}: {subject}"
    slug = slugify(name or f"{template.key}-{rule.model.replace('.', '-')}")[:LONGEST_SLUG_OF_TEMPLATE] or template.key
    return replace(rule, name=title, slug=slug, enabled=False, description=str(template.description))


def _rule(asked: Mapping[str, Any], signals: Sequence[str], *actions: ActionSpec, **fields: Any) -> RuleSpec:
    return RuleSpec(slug="", model=asked["model"], signals=tuple(signals), actions=actions, **fields)


class AuditForm(ReadyTemplateForm):
    """Who created, changed or deleted what."""

    places = {"/actions/0/config/fields": "watched", "/actions/0/config/name": "object_name"}

    watched = forms.CharField(
        label=_("Fields"), required=False, help_text=_("With commas between them, such as email, status. Empty: all.")
    )
    object_name = forms.CharField(
        label=_("Name of an object"),
        required=False,
        help_text=_("How an entry calls the object, such as {{ instance.pk }}. Can stay empty."),
    )

    def rule(self, asked: Mapping[str, Any]) -> RuleSpec:
        config: dict[str, Any] = {}
        if asked["watched"]:
            config["fields"] = split_names(asked["watched"])
        if asked["object_name"]:
            config["name"] = asked["object_name"]
        return _rule(asked, ["post_save", "post_delete"], ActionSpec("write_audit_entry", config))


class NotifyForm(ReadyTemplateForm):
    """A mail about each new object."""

    places = {
        "/actions/0/config/to": "to",
        "/actions/0/config/subject": "subject",
        "/actions/0/config/body": "body",
    }
    to = forms.CharField(
        label=_("To"),
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("An address to a line, such as office@example.com or {{ instance.email }}."),
    )
    subject = forms.CharField(label=_("Subject"), help_text=_("Such as: A new order, {{ instance.pk }}"))
    body = forms.CharField(
        label=_("Text"),
        widget=forms.Textarea(attrs={"rows": 8}),
        help_text=_("In double braces stands what the object holds, such as {{ instance.pk }}."),
    )

    def rule(self, asked: Mapping[str, Any]) -> RuleSpec:
        config = {"to": lines_of(asked["to"]), "subject": asked["subject"], "body": asked["body"].replace("\r\n", "\n")}
        return _rule(asked, ["post_save"], ActionSpec("send_email", config), operations=("create",))


class CacheForm(ReadyTemplateForm):
    """Keys that are stale once an object changes."""

    places = {"/actions/0/config/keys": "keys", "/actions/0/config/cache": "cache"}
    keys = forms.CharField(
        label=_("Keys"),
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_("A key to a line, such as doctor_{{ instance.pk }} or doctor_list."),
    )
    cache = forms.CharField(label=_("Cache"), initial="default", required=False)

    def rule(self, asked: Mapping[str, Any]) -> RuleSpec:
        config: dict[str, Any] = {"keys": lines_of(asked["keys"])}
        if asked["cache"] not in ("", "default"):
            config["cache"] = asked["cache"]
        return _rule(asked, ["post_save", "post_delete"], ActionSpec("delete_cache_keys", config))


class StatusForm(ReadyTemplateForm):
    """When a field went from what to what."""

    places = {"/changes": "field", "/actions/0": "field", "/actions/1": "time_field"}
    field = forms.CharField(label=_("Status field"), help_text=_("The field to track, such as status."))
    time_field = forms.CharField(
        label=_("Field for the time"),
        required=False,
        help_text=_("A date and time of the object that is set with each change, such as status_changed_at."),
    )

    def rule(self, asked: Mapping[str, Any]) -> RuleSpec:
        field = asked["field"].strip()
        entry = {
            "fields": [field],
            "operation": "STATUS",
            "note": f'{{{{ changes.{field}.old|default:"–" }}}} → {{{{ changes.{field}.new|default:"–" }}}}',
        }
        actions = [ActionSpec("write_audit_entry", entry)]
        if asked["time_field"]:
            values = [{"field": asked["time_field"].strip(), "value": "{{ event.occurred_at }}"}]
            actions.append(ActionSpec("update_objects", {"values": values}, position=1))
        return _rule(asked, ["post_save"], *actions, changes=({"field": field},))


class FilesForm(ReadyTemplateForm):
    """Files that nothing uses any more."""

    places = {"/actions/0/config": "watched"}
    watched = forms.CharField(
        label=_("File fields"), help_text=_("With commas between them, such as image. Replaced and deleted files go.")
    )

    def rule(self, asked: Mapping[str, Any]) -> RuleSpec:
        config = {"fields": split_names(asked["watched"])}
        return _rule(asked, ["post_save", "post_delete"], ActionSpec("delete_files", config))


class WebhookForm(ReadyTemplateForm):
    """A call to another system."""

    places = {"/actions/0/config/endpoint": "endpoint", "/operations": "happens", "/signals": "happens"}
    endpoint = forms.CharField(label=_("Endpoint"), help_text=_("The slug of an endpoint, from Webhooks › Endpoints."))
    happens = forms.MultipleChoiceField(
        label=_("When it was"),
        choices=list(HAPPENS.items()),
        initial=list(HAPPENS),
        widget=forms.CheckboxSelectMultiple,
    )

    def rule(self, asked: Mapping[str, Any]) -> RuleSpec:
        wanted = asked["happens"]
        saves = [name for name in wanted if name != "delete"]
        signals = [*(["post_save"] if saves else []), *(["post_delete"] if "delete" in wanted else [])]
        operations = () if set(wanted) == set(HAPPENS) else tuple(wanted)
        action = ActionSpec("webhook", {"endpoint": asked["endpoint"].strip()})
        return _rule(asked, signals, action, operations=operations)


READY_TEMPLATES = (
    ReadyTemplate(
        "audit",
        _("Audit a model"),
        _("Keeps who created, changed or deleted an object, and what changed."),
        AuditForm,
        ("write_audit_entry",),
    ),
    ReadyTemplate(
        "notify",
        _("Notify on creation"),
        _("Sends a mail when an object is created."),
        NotifyForm,
        ("send_email",),
    ),
    ReadyTemplate(
        "cache",
        _("Invalidate the cache"),
        _("Deletes cache keys when an object is saved or deleted."),
        CacheForm,
        ("delete_cache_keys",),
    ),
    ReadyTemplate(
        "status",
        _("Track a status"),
        _("Keeps when a field changed, from what to what."),
        StatusForm,
        ("write_audit_entry", "update_objects"),
    ),
    ReadyTemplate(
        "files",
        _("Clean up files"),
        _("Deletes files that were replaced, or whose object was deleted, once nothing uses them."),
        FilesForm,
        ("delete_files",),
    ),
    ReadyTemplate(
        "webhook",
        _("Call a webhook"),
        _("Tells another system when an object is created, changed or deleted."),
        WebhookForm,
        ("webhook",),
    ),
)


def offered() -> list[ReadyTemplate]:
    """Return the ready templates whose kinds of action are installed here."""
    return [template for template in READY_TEMPLATES if all(registry.find(kind) is not None for kind in template.kinds)]


def find(key: str) -> ReadyTemplate | None:
    """Return the ready template of that key among those offered, or None."""
    return next((template for template in offered() if template.key == key), None)
