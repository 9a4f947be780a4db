"""Ready templates that write fields by themselves, and those that refuse a change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.context.paths import ModelClass, label_of, steps
from rules_engine.packs.ready import offers
from rules_engine.packs.ready.form import ReadyTemplateForm
from rules_engine.packs.ready.telling import CHANGE, OfStates, becomes_field
from rules_engine.types import ActionSpec, RuleSpec


def _set_field(field: str, value: Any, *, only_if_empty: bool = False) -> ActionSpec:
    row = {"field": field, "value": value, **({"only_if_empty": True} if only_if_empty else {})}
    return ActionSpec("set_fields", {"fields": [row]}, timing="before_save")


class StampForm(OfStates):
    """The time at which something reached a state."""

    places = {CHANGE: "becomes", "/actions/0": "time_field"}
    becomes = becomes_field()
    time_field = forms.ChoiceField(label=_("Field for the time"))

    def suits(self, model: ModelClass) -> bool:
        return super().suits(model) and bool(offers.writable(model, offers.is_moment))

    def offer(self) -> None:
        self.offer_states("becomes")
        if self.model is not None:
            self.choose("time_field", offers.writable(self.model, offers.is_moment))

    def rule(self, asked: Mapping[str, Any]) -> RuleSpec:
        stamp = _set_field(asked["time_field"] or "", "{{ event.occurred_at }}")
        return self.on(["pre_save"], stamp, changes=(self.change(asked),))


class CopyForm(ReadyTemplateForm):
    """A field that is filled from another, or from what the object belongs to."""

    places = {"/actions/0/config/fields/0/field": "field", "/actions/0/config/fields/0/value": "source"}
    source = forms.ChoiceField(label=_("Copy"))
    field = forms.ChoiceField(label=_("Into"))
    only_if_empty = forms.BooleanField(label=_("Only if it is empty"), initial=True, required=False)

    def suits(self, model: ModelClass) -> bool:
        return bool(offers.writable(model))

    def offer(self) -> None:
        if self.model is not None:
            self.choose("source", offers.values(self.model, self.user))
            self.choose("field", offers.writable(self.model))

    def rule(self, asked: Mapping[str, Any]) -> RuleSpec:
        value = {"var": asked["source"] or "instance"}
        copied = _set_field(asked["field"] or "", value, only_if_empty=bool(asked["only_if_empty"]))
        return self.on(["pre_save"], copied)


class TotalForm(ReadyTemplateForm):
    """A number that is kept up to date with the rows that belong to an object."""

    places = {"/actions/0": "kept", "/actions/1": "kept"}
    of = forms.ChoiceField(label=_("Keep"))
    kept = forms.ChoiceField(label=_("In"), help_text=_("A number of what it belongs to."))

    def suits(self, model: ModelClass) -> bool:
        return bool(offers.parents(model, self.user))

    def offer(self) -> None:
        if self.model is None:
            return
        sums = offers.fields(self.model, offers.is_number)
        listed = [(name, gettext("the sum: %(field)s") % {"field": label}) for name, label in sums]
        self.choose("of", [("count", gettext("how many there are")), *listed])
        self.choose("kept", offers.parents(self.model, self.user))

    def rule(self, asked: Mapping[str, Any]) -> RuleSpec:
        relation, _dot, field = (asked["kept"] or "").partition(".")
        step = steps(self.model).get(relation) if self.model is not None else None
        if step is None or step.model is None:
            return self.on(["post_save", "post_delete"], ActionSpec("update_objects", {"target": relation}))
        rows = offers.counted_by(step)
        value = (
            f"{{{{ row.{rows}__count }}}}" if asked["of"] == "count" else f"{{{{ row.{rows}__{asked['of']}__sum }}}}"
        )
        values = [{"field": field, "value": value}]
        # Where a row was before it was moved, its number is kept as well.
        former = [{"field": "pk", "value": f"{{{{ old.{step.field.attname} }}}}"}]
        left = {"target": "query", "model": label_of(step.model), "filter": former, "values": values}
        return self.on(
            ["post_save", "post_delete"],
            ActionSpec("update_objects", {"target": relation, "values": values}),
            ActionSpec("update_objects", left, position=1),
        )


class DependentsForm(OfStates):
    """What belongs to an object follows it into a state."""

    places = {CHANGE: "becomes", "/actions/0": "follow"}
    becomes = becomes_field()
    follow = forms.ChoiceField(label=_("Then set"))

    def suits(self, model: ModelClass) -> bool:
        return super().suits(model) and bool(offers.dependents(model, self.user))

    def offer(self) -> None:
        self.offer_states("becomes")
        if self.model is not None:
            self.choose("follow", offers.dependents(self.model, self.user), nothing=gettext("– choose –"))

    def rule(self, asked: Mapping[str, Any]) -> RuleSpec:
        relation, _dot, chosen = (asked["follow"] or "").partition(".")
        step = steps(self.model).get(relation) if self.model is not None else None
        field, value = offers.state(step.model, chosen) if step is not None and step.model is not None else ("", "")
        config = {"target": relation, "values": [{"field": field, "value": value}]}
        return self.on(["post_save"], ActionSpec("update_objects", config), changes=(self.change(asked),))


class RefusalForm(OfStates):
    """Something that is not to happen in a state, and what is said then."""

    places = {"/condition": "state_now", "/actions/0/config/message": "message"}
    state_now = forms.ChoiceField(label=_("While it is"))
    message = forms.CharField(label=_("Message"), help_text=_("For whoever tries it."))
    #: What the model's title is put into.
    words: Any = ""

    def offer(self) -> None:
        self.offer_states("state_now")
        if self.model is not None:
            self.fields["message"].initial = self.words % {"model": self.model._meta.verbose_name}

    def refusal(self, asked: Mapping[str, Any], signal: str, root: str, **fields: Any) -> RuleSpec:
        """Return the rule that refuses while a value under ``root`` is the chosen state."""
        field, value = self.state(asked, "state_now")
        reject = ActionSpec("reject", {"message": asked["message"] or ""}, timing="before_save")
        return self.on([signal], reject, condition={"==": [{"var": f"{root}.{field}"}, value]}, **fields)


class RefuseDeleteForm(RefusalForm):
    """What is in a state cannot be deleted."""

    words = _("This %(model)s cannot be deleted as it is now.")

    def rule(self, asked: Mapping[str, Any]) -> RuleSpec:
        return self.refusal(asked, "pre_delete", "instance")


class FreezeForm(RefusalForm):
    """What is in a state cannot be changed any more."""

    words = _("This %(model)s cannot be changed any more.")

    def rule(self, asked: Mapping[str, Any]) -> RuleSpec:
        return self.refusal(asked, "pre_save", "old", operations=("update",))
