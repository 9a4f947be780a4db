"""What is asked of whoever pauses something: what, for how long, and what is to become of what happens meanwhile."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.parts.labels import model_title
from rules_engine.admin.pauses.at_once import acting_at_once, left_out_block, stopped_by
from rules_engine.models import Pause, Rule
from rules_engine.surroundings import own_rules

SCOPES = [
    ("rule", _("one rule")),
    ("model", _("all rules that watch a model")),
    ("everything", _("everything: all rules of this site")),
]
MODES = [
    (
        Pause.Mode.HOLD,
        _(
            "Hold: what happens meanwhile is kept, and acted on when you resume. Left out for good is what belongs to "
            "a save itself: fields to set, changes to refuse, and whatever is done in the same transaction."
        ),
    ),
    (
        Pause.Mode.DROP,
        _("Drop: what happens meanwhile is not looked at, leaves no record, and is never made up for."),
    ),
]


#: How long a pause lasts, in seconds; empty: until somebody resumes.
LASTS = [
    ("", _("until somebody resumes")),
    ("900", _("15 minutes")),
    ("3600", _("1 hour")),
    ("14400", _("4 hours")),
    ("86400", _("24 hours")),
    ("604800", _("7 days")),
]
AT = "at"


def lasts_field(choices: Any = LASTS, **options: Any) -> forms.ChoiceField:
    """Asks how long."""
    return forms.ChoiceField(label=_("For how long"), choices=choices, required=False, **options)


def end_after(lasts: Any) -> datetime | None:
    """The moment a pause ends that begins now; None where it has no end."""
    return timezone.now() + timedelta(seconds=int(lasts)) if lasts else None


class PausingForm(forms.Form):
    """How several rules are paused at once."""

    lasts = lasts_field()
    mode = forms.ChoiceField(label=_("Meanwhile"), choices=MODES, widget=forms.RadioSelect, initial=Pause.Mode.HOLD)
    reason = forms.CharField(
        label=_("Reason"), max_length=250, required=False, widget=forms.TextInput(attrs={"size": 60})
    )

    def pause(self, slug: str, by: str) -> Pause:
        """The pause of one rule, as asked for; not yet stored."""
        given = self.cleaned_data
        until = end_after(given["lasts"])
        return Pause(rule_slug=slug, mode=given["mode"], reason=given["reason"], until=until, paused_by=by[:150])


class PauseForm(forms.ModelForm):
    """What is paused stays as it was chosen; how, and why, can be changed while it lasts."""

    scope = forms.ChoiceField(label=_("What to pause"), choices=SCOPES, widget=forms.RadioSelect, initial="rule")
    rule_slug = forms.ChoiceField(label=_("Which rule"), required=False)
    model = forms.ChoiceField(
        label=_("Which model"), required=False, help_text=_("Only the models that some rule watches are listed.")
    )
    mode = forms.ChoiceField(
        label=_("Meanwhile"),
        choices=MODES,
        widget=forms.RadioSelect,
        initial=Pause.Mode.HOLD,
    )

    lasts = lasts_field(
        choices=[*LASTS, (AT, _("until the time below"))],
        help_text=_("Then it ends by itself, and what was held is done."),
    )

    class Meta:
        model = Pause
        fields = ("rule_slug", "model", "mode", "until", "reason")
        widgets = {"reason": forms.TextInput(attrs={"size": 60})}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if "until" in self.fields:
            # One label for two inputs is none.
            inputs: Any = getattr(self.fields["until"].widget, "widgets", ())
            for part, name in zip(inputs, (_("date"), _("time")), strict=False):
                part.attrs["aria-label"] = name
        if "mode" in self.fields:
            rules = stopped_by(self.instance) if self.instance.pk else acting_at_once()
            self.fields["mode"].help_text = left_out_block(rules)
        if "rule_slug" in self.fields:
            self._offer_scopes()

    def _offer_scopes(self) -> None:
        rules = list(Rule.objects.seen_here().order_by("name", "slug").values_list("slug", "name", "model"))
        listed = [(slug, f"{name} ({slug})" if name else slug) for slug, name, _model in rules]
        watching = Counter(label for _slug, _name, label in rules if label)
        named = [(label, _model_choice(label, number)) for label, number in sorted(watching.items())]
        self.fields["rule_slug"].choices = [("", "–"), *listed]  # type: ignore[attr-defined]
        self.fields["model"].choices = [("", "–"), *named]  # type: ignore[attr-defined]

    def clean(self) -> Any:
        """Take what belongs to the chosen scope, and say where it is missing."""
        given = super().clean() or {}
        wanted = {"rule": "rule_slug", "model": "model"}.get(given.get("scope", ""))
        for name in ("rule_slug", "model"):
            if name != wanted and name in self.fields:
                given[name] = ""
        if wanted != "rule_slug" and "rule_slug" in self.fields and own_rules.are_kept_here():
            self.add_error("scope", gettext("From here rules are paused one by one: those of here."))
        if wanted and not given.get(wanted) and wanted not in self.errors:
            self.add_error(wanted, gettext("Choose one, or pause something else above."))
        if "lasts" in self.fields and "until" not in self.errors:
            self._clean_end(given)
        return given

    def _clean_end(self, given: dict[str, Any]) -> None:
        if given.get("lasts") != AT:
            given["until"] = end_after(given.get("lasts"))
        elif given.get("until") is None:
            self.add_error("until", gettext("Say until when, or choose how long above."))
        elif given["until"] <= timezone.now():
            self.add_error("until", gettext("That is over already."))


def _model_choice(label: str, number: int) -> str:
    text = ngettext("%(model)s (%(label)s), %(count)s rule", "%(model)s (%(label)s), %(count)s rules", number)
    return text % {"model": model_title(label), "label": label, "count": number}
