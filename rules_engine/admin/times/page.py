"""The page of a rule on time: when it acts next and on what, as if it were any time, and why not on an object."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import MAXYEAR, MINYEAR, datetime, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS
from django.http import HttpRequest, HttpResponseBase
from django.urls import path, reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.conditions.field_titles import Titles
from rules_engine.admin.parts.objects import ObjectsSeen
from rules_engine.admin.parts.rendering import page_url
from rules_engine.admin.parts.rule_page import TEST, page, refused, rule_for, unseen
from rules_engine.admin.prose.reader import Reader
from rules_engine.admin.reading.sentence import sentence_for
from rules_engine.admin.times.shown import Times
from rules_engine.admin.times.words import why_not_words
from rules_engine.admin.why.objects import LONGEST_WORD, find
from rules_engine.context.paths import find_model
from rules_engine.errors import RulesEngineError
from rules_engine.models import Rule
from rules_engine.rules.schedules.kinds import name_of
from rules_engine.rules.validation import rule_problems
from rules_engine.test.timed.not_due import (
    WhyNot,
    why_not_due,
    why_not_often,
    why_not_selected,
    why_not_silent,
    why_not_waiting,
)
from rules_engine.test.why import rules_on

#: Days that are looked back over, by the rows as they are now.
DAYS = [(1, _("the last day")), (7, _("the last week")), (30, _("the last 30 days")), (90, _("the last 90 days"))]
USUAL_DAYS = 7
#: Kinds of which it can be asked why they do not act on an object.
ASKED = ("date", "stays", "every", "often", "silent")
WHY: dict[str, Callable[[Rule, Any, datetime], WhyNot]] = {
    "stays": why_not_waiting,
    "every": why_not_selected,
    "often": why_not_often,
    "silent": why_not_silent,
}
#: Rules on time that are asked about one object, at most.
MOST_RULES = 10


class TimesForm(forms.Form):
    """As if it were when, and about which object."""

    at = forms.DateTimeField(
        label=_("As if it were"),
        required=False,
        help_text=_("Empty: now."),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    days = forms.TypedChoiceField(label=_("Look back over"), choices=DAYS, coerce=int, required=False)
    q = forms.CharField(
        label=_("Why not on"),
        max_length=LONGEST_WORD,
        required=False,
        help_text=_("A part of the object’s name. Empty: no object is asked about."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    pk = forms.CharField(required=False, max_length=255, widget=forms.HiddenInput)
    model = forms.CharField(required=False, max_length=200, widget=forms.HiddenInput)

    def clean_at(self) -> datetime | None:
        """The time; at the ends of the calendar none, since a database may be asked for it in another zone."""
        at: datetime | None = self.cleaned_data["at"]
        if at is not None and not MINYEAR + 1 < at.year < MAXYEAR - 1:
            raise ValidationError(gettext("There is no such time in the calendar."))
        return at


class TimesMixin:
    """Adds the page to the admin of rules."""

    def get_urls(self: Any) -> list[Any]:
        """The page, before the admin's own addresses, whose last one takes any."""
        view = self.admin_site.admin_view(self.times_view)
        return [path("<path:object_id>/times/", view, name="rules_engine_rule_times"), *super().get_urls()]  # type: ignore[misc]

    def why_on_time(self, request: HttpRequest, label: str, pk: str) -> list[dict[str, Any]]:
        """What rules on time say of the object, beside what was said to its changes."""
        return list(_on_time(request, label, pk))

    def times_view(self: Any, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """What comes next, what would have come in the last days, and the answer about an object; nothing is done."""
        rule = rule_for(self, request, object_id)
        spec, title = rule.spec(), gettext("When it acts")
        if why := unseen(request.user, spec):
            return refused(self, request, rule, title, why)
        if why := " ".join(each.message for each in rule_problems(spec) if each.pointer.startswith("/schedule")):
            return page(self, request, rule, "refused.html", title, why=why)
        times = Times(request, spec)
        asked = {"days": USUAL_DAYS, "model": spec.model, **request.GET.dict()}
        form = TimesForm(asked if request.GET else None, initial={"days": USUAL_DAYS, "model": spec.model})
        given = form.cleaned_data if form.is_bound and form.is_valid() else {}
        # What was chosen once is chosen again.
        at, days = given.get("at") or timezone.now(), given.get("days") or USUAL_DAYS
        context: dict[str, Any] = {
            "form": form,
            "times": times,
            "as_if": given.get("at"),
            "sentence": sentence_for(rule, Reader(request.user)),
            "objects_url": reverse("admin:rules_engine_rule_why_objects"),
            "is_off": not rule.enabled,
            "zone": timezone.get_current_timezone_name() if settings.USE_TZ else "",
            "is_asked": times.model is not None and times.where.is_here and name_of(rule.schedule) in ASKED,
        }
        if times.is_timed and (not form.is_bound or form.is_valid()):
            context["next"] = times.next(at)
            context["past"] = times.between(at - timedelta(days=days), at)
            context["selected"] = times.selected(at)
            context |= _about_object(request, rule, times, given, at)
        elif times.is_waiting or times.is_counting:
            if times.is_waiting:
                context["next"] = times.waited_for()
            else:
                context["counted"] = times.counted(timezone.now())
            context |= _about_object(request, rule, times, given, at)
        return page(self, request, rule, "times.html", title, **context)


def _about_object(request: HttpRequest, rule: Rule, times: Times, given: Any, at: datetime) -> dict[str, Any]:
    """Why the rule does not act on the object that was asked about; those to choose among, where several are meant."""
    key, word = given.get("pk") or "", (given.get("q") or "").strip()
    if times.model is None or not times.where.is_here or not (key or word) or name_of(rule.schedule) not in ASKED:
        return {}
    chosen = times.seen.find(times.model, key) if key else None
    offered = find(request, rule.model, word) if chosen is None and word else []
    if chosen is None and len(offered) == 1:
        chosen, offered = offered[0], []
    if chosen is None:
        asked = [(str(row), f"?{urlencode({**_kept(request), 'pk': row.pk, 'q': str(row)})}") for row in offered]
        return {"offered": asked, "is_searched": True}
    why = _why(rule, chosen, at)
    if isinstance(why, str):
        return {"asked": chosen, "why": why}
    event_url = page_url("event", why.event_id) if why.event_id and request.user.has_perm(VIEW_EVENT) else ""
    return {"asked": chosen, "why": why_not_words(why, Titles.of(rule.model)), "event_url": event_url}


def _why(rule: Rule, instance: Any, at: datetime) -> WhyNot | str:
    """Why the rule does not act on the object, or why that cannot be told."""
    try:
        if (ask := WHY.get(name_of(rule.schedule))) is not None:
            return ask(rule, instance, at)
        return why_not_due(rule, instance, at, instance._state.db or DEFAULT_DB_ALIAS)
    except (LookupError, RulesEngineError) as error:
        return str(error)


def _on_time(request: HttpRequest, label: str, pk: str) -> Iterator[dict[str, Any]]:
    """What each rule on time says of an object, where who asks may see both."""
    model = find_model(label)
    instance = ObjectsSeen(admin.site, request).find(model, pk) if model is not None else None
    timed = rules_on({label}).filter(schedule__isnull=False) if instance is not None else ()
    for rule in timed[:MOST_RULES] if instance is not None else ():
        if name_of(rule.schedule) in ASKED and not unseen(request.user, rule.spec()):
            why = _why(rule, instance, timezone.now())
            said = why if isinstance(why, str) else why_not_words(why, Titles.of(rule.model))
            url = f"{reverse('admin:rules_engine_rule_times', args=[rule.pk])}?{urlencode({'pk': pk})}"
            yield {"rule": rule, "why": said, "url": url if request.user.has_perm(TEST) else page_url("rule", rule.pk)}


VIEW_EVENT = "rules_engine.view_event"


def _kept(request: HttpRequest) -> dict[str, str]:
    return {name: value for name in ("at", "days", "model") if (value := request.GET.get(name))}
