"""Recordings: begun, extended and ended in the admin. To delete one is to stop it; what it recorded stays."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.parts import choices
from rules_engine.admin.parts.guarding import GuardedAdmin
from rules_engine.admin.parts.json_fields import name_halves
from rules_engine.admin.parts.labels import model_title
from rules_engine.admin.parts.rendering import link, list_url
from rules_engine.models import Recording
from rules_engine.rules.permissions import may_view_data
from rules_engine.surroundings import own_rules

HOURS = [
    (1, _("one hour")),
    (4, _("four hours")),
    (24, _("a day")),
    (7 * 24, _("a week")),
    (30 * 24, _("30 days")),
]
COSTS = _(
    "Each event of the model is kept, whether a rule matched or not, with all fields that rules may read: a row an "
    "event, written by whoever saves. Rules can be run over what was recorded, and it says why a rule did not fire."
)


class RecordingForm(forms.ModelForm):
    """A new one says for how long; one that goes on says until when."""

    user: Any = None

    model = forms.ChoiceField(label=_("Model"))
    hours = forms.TypedChoiceField(label=_("For"), choices=HOURS, coerce=int, initial=24)

    class Meta:
        model = Recording
        fields = ("model", "until")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if "model" in self.fields:
            groups = [(title, choices_of_app) for title, choices_of_app in choices.models() if title]
            mine = [
                (title, [choice for choice in choices_of_app if may_view_data(self.user, choice[0])])
                for title, choices_of_app in groups
            ]
            self.fields["model"].choices = [("", "–"), *((t, found) for t, found in mine if found)]  # type: ignore[attr-defined]
        if "until" in self.fields:
            name_halves(self.fields["until"])

    def clean(self) -> Any:
        """From how long to until when."""
        given = super().clean() or {}
        if "hours" in self.fields and given.get("hours"):
            self.instance.until = timezone.now() + timedelta(hours=given["hours"])
        elif "until" in self.fields and "until" not in self.errors and given.get("until") is None:
            self.add_error("until", ValidationError(gettext("Say until when; or stop it.")))
        return given


@admin.register(Recording)
class RecordingAdmin(GuardedAdmin):
    """Models whose events are all kept for a while."""

    form = RecordingForm
    list_display = ("model_shown", "state_shown", "until", "started_by", "events_shown")
    list_display_links = ("model_shown",)
    search_fields = ("model", "started_by")

    class Media:
        css = {"all": ["rules_engine/themes.css", "rules_engine/admin.css"]}

    def has_module_permission(self, request: HttpRequest) -> bool:
        return super().has_module_permission(request) and not own_rules.are_kept_here()

    # A recording keeps the events of all surroundings, so those with rules of their own begin none.

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request, obj) and not own_rules.are_kept_here()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and not own_rules.are_kept_here()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and not own_rules.are_kept_here()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not own_rules.are_kept_here()

    def get_fieldsets(self, request: HttpRequest, obj: Recording | None = None) -> Any:
        fields = ("model_shown", "until", "created_at", "started_by", "events_shown") if obj else ("model", "hours")
        return [(None, {"fields": fields, "description": COSTS})]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        form = super().get_form(request, obj, change, **options)
        form.user = request.user  # type: ignore[attr-defined]
        for name in ("model", "hours") if obj else ("until",):
            form.base_fields.pop(name, None)
        return form

    def get_readonly_fields(self, request: HttpRequest, obj: Recording | None = None) -> Any:
        return ("model_shown", "state_shown", "created_at", "started_by", "events_shown")

    def save_model(self, request: HttpRequest, obj: Recording, form: Any, change: bool) -> None:
        if not change:
            obj.started_by = request.user.get_username()[:150]
        super().save_model(request, obj, form, change)

    @admin.display(description=_("model"), ordering="model")
    def model_shown(self, recording: Recording) -> str:
        return f"{model_title(recording.model)} ({recording.model})"

    @admin.display(description=_("state"), ordering="until")
    def state_shown(self, recording: Recording) -> str:
        return gettext("recording") if recording.is_going_on else gettext("over")

    @admin.display(description=_("events"))
    def events_shown(self, recording: Recording) -> SafeString:
        return link(list_url("event", q=recording.model), gettext("Events of this model"))
