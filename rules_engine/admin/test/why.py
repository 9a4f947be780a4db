"""The page that says of an object why each rule did, or did not, act on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, datetime
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.conditions.field_titles import Titles
from rules_engine.admin.parts import choices
from rules_engine.admin.parts.labels import detail_words
from rules_engine.admin.parts.objects import why_unseen
from rules_engine.admin.parts.rendering import object_link, page_url
from rules_engine.admin.parts.rule_page import TEST, unseen
from rules_engine.admin.test.rule_test import shown_gate
from rules_engine.models import Recording, Rule
from rules_engine.models.inheritance import names_of
from rules_engine.rules import registry
from rules_engine.rules.gates import title_of
from rules_engine.rules.permissions import lacking, may_view_data
from rules_engine.test.why import LATEST, Said, Told, events_about, labels_of, nearest_first, rules_on, tell

VERDICTS = {
    "matched": _("matched"),
    "not_matched": _("did not match"),
    "error": _("could not be evaluated"),
    "untried": _("was not tried"),
    "not_recorded": _("not recorded"),
}
MARKS = {"matched": "open", "not_matched": "shut", "error": "error"}
NEEDED = ("rules_engine.view_event", "rules_engine.view_execution")
#: Rules on one page, each told of at up to ``LATEST`` events.
RULES = 50
PAGE = "p"


class WhyForm(forms.Form):
    """Which object, and when."""

    model = forms.ChoiceField(label=_("Model"))
    pk = forms.CharField(label=_("Object, by its key"), max_length=255)
    at = forms.DateTimeField(
        label=_("Until"), required=False, help_text=_("Such as 2031-05-06 08:00. Empty: the latest events.")
    )
    rule = forms.CharField(
        label=_("Rule"),
        required=False,
        max_length=200,
        help_text=_("A part of its name or slug. Empty: all that watch the model."),
    )

    def __init__(self, user: Any, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        groups = [(title, choices_of_app) for title, choices_of_app in choices.models() if title]
        mine = [
            (title, [choice for choice in choices_of_app if may_view_data(user, choice[0])])
            for title, choices_of_app in groups
        ]
        self.fields["model"].choices = [("", "–"), *((t, found) for t, found in mine if found)]  # type: ignore[attr-defined]

    def clean_at(self) -> datetime | None:
        """The time; at the ends of the calendar none, since a database may be asked for it in another zone."""
        at: datetime | None = self.cleaned_data["at"]
        if at is not None and not MINYEAR < at.year < MAXYEAR:
            raise ValidationError(gettext("Nothing was recorded in the year %s.") % at.year)
        return at


class WhyMixin:
    """Adds the page to the admin of rules."""

    def get_urls(self: Any) -> list[Any]:
        """The page, before the admin's own addresses, whose last one takes any."""
        view = self.admin_site.admin_view(self.why_view)
        return [path("why/", view, name="rules_engine_rule_why"), *super().get_urls()]  # type: ignore[misc]

    def why_view(self: Any, request: HttpRequest) -> HttpResponseBase:
        """The form, and below it the events of the object with what each rule said to them."""
        if not self.has_view_permission(request) or lacking(request.user, NEEDED):
            raise PermissionDenied
        data = request.GET if request.GET.get("model") or request.GET.get("pk") else None
        form = WhyForm(request.user, data)
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "opts": Rule._meta,
            "title": gettext("Why did it, or did it not, act?"),
            "media": self.media,
            "form": form,
        }
        if data is not None and form.is_valid():
            if why := why_unseen(request, form.cleaned_data["model"], form.cleaned_data["pk"].strip()):
                form.add_error("pk", why)
            else:
                context |= _answer(request, form.cleaned_data)
        return TemplateResponse(request, "admin/rules_engine/rule/why.html", context)


def _answer(request: HttpRequest, given: Any) -> dict[str, Any]:
    label, pk, user = given["model"], given["pk"].strip(), request.user
    names_seen = [name for name in names_of(label, pk) if may_view_data(user, name.label)]
    events = list(events_about(names_seen, given.get("at"))[:LATEST])
    watching = rules_on(labels_of(names_seen, (event.model for event in events)))
    names = dict(watching.prefetch_related(None).values_list("slug", "name"))
    word = given["rule"].strip().casefold()
    slugs = [slug for slug in nearest_first(events, names) if word in f"{slug}\n{names.get(slug, '')}".casefold()]
    page = Paginator(slugs, RULES).get_page(request.GET.get(PAGE))
    rules = [_About.of(rule, user, pk) for rule in watching.filter(slug__in=page.object_list)]
    by_slug = {about.rule.slug: about for about in rules}
    return {
        "asked": True,
        "object": object_link(label, pk),
        "told": [
            _shown(told, by_slug) for told in tell(events, [about.rule for about in rules], set(page.object_list))
        ],
        "rules": rules,
        "named": word,
        "page": page,
        "pages": _pages(request, page),
        "recording": Recording.objects.current().filter(model=label).first(),
        "record_url": _record_url(user, label),
    }


def _pages(request: HttpRequest, page: Page[str]) -> list[tuple[Any, str]]:
    """Links to the other pages: number and address, which is empty for this page and for a gap."""
    given = request.GET.copy()
    pages = []
    for number in page.paginator.get_elided_page_range(page.number) if page.has_other_pages() else ():
        given[PAGE] = str(number)
        is_link = isinstance(number, int) and number != page.number
        pages.append((number, f"?{given.urlencode()}" if is_link else ""))
    return pages


@dataclass(frozen=True, slots=True)
class _About:
    """What is the same at every event."""

    rule: Rule
    url: str
    #: Where it is tested on the object; empty for whoever may not.
    test_url: str
    #: Whether the user may see what it reads.
    is_seen: bool

    @classmethod
    def of(cls, rule: Rule, user: Any, pk: str) -> _About:
        return cls(rule, page_url("rule", rule.pk), _test_url(user, rule, pk), not unseen(user, rule.spec()))


def _test_url(user: Any, rule: Rule, pk: str) -> str:
    """Where this rule is tested on the object; empty for whoever may not."""
    url = reverse("admin:rules_engine_rule_test", args=[rule.pk])
    return f"{url}?{urlencode({'pk': pk})}" if user.has_perm(TEST) else ""


def _record_url(user: Any, label: str) -> str:
    """Where a recording of the model is begun; empty for whoever may not."""
    url = reverse("admin:rules_engine_recording_add")
    return f"{url}?{urlencode({'model': label})}" if user.has_perm("rules_engine.add_recording") else ""


def _shown(told: Told, rules: Mapping[str, _About]) -> dict[str, Any]:
    titles = Titles.of(told.event.model)
    steps: dict[str, list[dict[str, Any]]] = {}
    for step in told.executions:
        shown = {"url": page_url("execution", step.pk), "step": step, "title": registry.title(step.kind)}
        steps.setdefault(step.rule_slug, []).append(shown)
    said = [
        (verdict, _said(verdict, rules.get(verdict.slug), titles, steps.get(verdict.slug, ()))) for verdict in told.said
    ]
    return {
        "event": told.event,
        "url": page_url("event", told.event.pk),
        "changed": ", ".join(titles.field(str(name)) for name in told.event.context.get("changed") or ()),
        "said": [shown for verdict, shown in said if verdict.verdict != "untried"],
        "untried": [shown for verdict, shown in said if verdict.verdict == "untried"],
    }


def _said(said: Said, about: _About | None, titles: Titles, executions: Sequence[Any]) -> dict[str, Any]:
    stop = said.stop if about is not None and about.is_seen else None
    return {
        "name": str(said.rule or said.slug),
        "url": about.url if about else "",
        "version": said.version,
        "verdict": VERDICTS.get(said.verdict, said.verdict),
        "mark": MARKS.get(said.verdict, said.verdict),
        "gate": title_of(said.gate),
        "detail": detail_words(said.detail) or ", ".join(map(titles.title, said.missing)),
        "stop": shown_gate(stop, titles) if stop else None,
        "stored": {titles.title(name): titles.value(name, value) for name, value in said.stored.items()}
        if stop
        else {},
        "test_url": about.test_url if about and said.stop and said.stop.missing else "",
        "is_recorded": said.is_recorded or said.verdict in ("untried", "not_recorded"),
        "executions": executions,
    }
