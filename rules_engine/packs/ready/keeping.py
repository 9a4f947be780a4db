"""Ready templates that keep records, and keep files and caches tidy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.context.paths import ModelClass
from rules_engine.packs.ready import offers
from rules_engine.packs.ready.form import ReadyTemplateForm, happening, happens_field, lines_of
from rules_engine.types import ActionSpec, RuleSpec


class AuditForm(ReadyTemplateForm):
    """Who created, changed or deleted what."""

    places = {"/actions/0/config/fields": "watched", "/actions/0/config/name": "object_name"}

    watched = forms.MultipleChoiceField(
        label=_("Fields"), required=False, widget=forms.CheckboxSelectMultiple, help_text=_("None ticked: all.")
    )
    object_name = forms.CharField(
        label=_("Name of an object"),
        required=False,
        help_text=_("How an entry calls the object, such as {{ instance.pk }}. Can stay empty."),
    )

    def offer(self) -> None:
        if self.model is not None:
            self.choose("watched", offers.fields(self.model))

    def rule(self, asked: Mapping[str, Any]) -> RuleSpec:
        config: dict[str, Any] = {}
        if asked["watched"]:
            config["fields"] = list(asked["watched"])
        if asked["object_name"]:
            config["name"] = asked["object_name"]
        return self.on(["post_save", "post_delete"], ActionSpec("write_audit_entry", config))


class StatusForm(ReadyTemplateForm):
    """When a field went from what to what."""

    places = {"/changes": "field", "/actions/0": "field", "/actions/1": "time_field"}
    field = forms.ChoiceField(label=_("Status field"), help_text=_("The field to track, such as status."))
    time_field = forms.ChoiceField(
        label=_("Field for the time"),
        required=False,
        help_text=_("A date and time of the object that is set with each change, such as status_changed_at."),
    )

    def suits(self, model: ModelClass) -> bool:
        return bool(offers.plain_fields(model))

    def offer(self) -> None:
        if self.model is None:
            return
        known = offers.fields(self.model)
        states = offers.fields(self.model, offers.has_states)
        self.choose("field", [*states, *(choice for choice in known if choice not in states)])
        self.choose("time_field", offers.writable(self.model, offers.is_moment), nothing=gettext("none"))

    def rule(self, asked: Mapping[str, Any]) -> RuleSpec:
        field = (asked["field"] or "").strip()
        entry = {
            "fields": [field],
            "operation": "STATUS",
            "note": f'{{{{ changes.{field}.old|default:"–" }}}} → {{{{ changes.{field}.new|default:"–" }}}}',
        }
        actions = [ActionSpec("write_audit_entry", entry)]
        if asked["time_field"]:
            values = [{"field": asked["time_field"].strip(), "value": "{{ event.occurred_at }}"}]
            actions.append(ActionSpec("update_objects", {"values": values}, position=1))
        return self.on(["post_save"], *actions, changes=({"field": field},))


class LogForm(ReadyTemplateForm):
    """A line in the log."""

    places = {"/actions/0/config/message": "message", "/operations": "happens", "/signals": "happens"}
    happens = happens_field()
    message = forms.CharField(
        label=_("Message"), initial="{{ what_happened }}", help_text=_("Written to the logger rules_engine.messages.")
    )

    def rule(self, asked: Mapping[str, Any]) -> RuleSpec:
        heard = happening(asked["happens"] or ())
        action = ActionSpec("log_message", {"message": asked["message"] or ""})
        return self.on(heard["signals"], action, operations=heard["operations"])


class FilesForm(ReadyTemplateForm):
    """Files that nothing uses any more."""

    places = {"/actions/0/config": "watched"}
    watched = forms.MultipleChoiceField(
        label=_("File fields"), widget=forms.CheckboxSelectMultiple, help_text=_("Replaced and deleted files go.")
    )

    def suits(self, model: ModelClass) -> bool:
        return bool(offers.plain_fields(model, offers.is_file))

    def offer(self) -> None:
        if self.model is not None:
            known = offers.fields(self.model, offers.is_file)
            self.choose("watched", known)
            self.fields["watched"].initial = [name for name, _title in known]

    def rule(self, asked: Mapping[str, Any]) -> RuleSpec:
        config = {"fields": list(asked["watched"] or ())}
        return self.on(["post_save", "post_delete"], ActionSpec("delete_files", config))


class CacheForm(ReadyTemplateForm):
    """Keys that are stale once an object changes."""

    places = {"/actions/0/config/keys": "keys", "/actions/0/config/cache": "cache"}
    keys = forms.CharField(
        label=_("Keys"),
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_("A key to a line, such as doctor_{{ instance.pk }} or doctor_list."),
    )
    cache = forms.CharField(label=_("Cache"), initial="default", required=False)

    def offer(self) -> None:
        if self.model is not None:
            name = self.model._meta.model_name
            self.fields["keys"].initial = f"{name}_{{{{ instance.pk }}}}\n{name}_list"

    def rule(self, asked: Mapping[str, Any]) -> RuleSpec:
        config: dict[str, Any] = {"keys": lines_of(asked["keys"] or "")}
        if asked["cache"] not in ("", "default"):
            config["cache"] = asked["cache"]
        return self.on(["post_save", "post_delete"], ActionSpec("delete_cache_keys", config))
