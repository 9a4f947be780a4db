"""The page that says of an object why each rule did, or did not, act on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Page, Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.parts import choices
from rules_engine.admin.parts.objects import ObjectsSeen, names_of_objects, why_unseen
from rules_engine.admin.parts.rendering import object_url, page_url
from rules_engine.admin.parts.rule_page import TEST
from rules_engine.admin.parts.searching import uuid_of
from rules_engine.admin.why.block import Block, test_url
from rules_engine.admin.why.names import object_name
from rules_engine.admin.why.objects import LONGEST_WORD, find, objects_view
from rules_engine.admin.why.unheard import UnheardTold, record_url, unheard_told
from rules_engine.context.paths import find_model
from rules_engine.models import Event, Recording, Rule
from rules_engine.models.inheritance import names_of
from rules_engine.rules.permissions import lacking, may_view_data
from rules_engine.test.why import LATEST, events_about, labels_of, nearest_first, rules_on

NEEDED = ("rules_engine.view_event", "rules_engine.view_execution")
#: Rules on one page, each told of at up to ``LATEST`` events.
RULES = 50
PAGE = "p"
#: The event before which those of the next page are.
BEFORE = "before"


class WhyForm(forms.Form):
    """Which object, and when."""

    model = forms.ChoiceField(label=_("Model"))
    q = forms.CharField(
        label=_("Object"),
        max_length=LONGEST_WORD,
        required=False,
        help_text=_("A part of its name. Empty: the newest ones are offered."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    pk = forms.CharField(required=False, max_length=255, widget=forms.HiddenInput)
    at = forms.DateTimeField(
        label=_("Until"), required=False, help_text=_("Such as 2031-05-06 08:00. Empty: the latest changes.")
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
        view, objects = self.admin_site.admin_view(self.why_view), self.admin_site.admin_view(self.why_objects_view)
        return [
            path("why/", view, name="rules_engine_rule_why"),
            path("why/objects/", objects, name="rules_engine_rule_why_objects"),
            *super().get_urls(),  # type: ignore[misc]
        ]

    def why_objects_view(self: Any, request: HttpRequest) -> HttpResponseBase:
        """The objects of a name, as JSON, for whoever may ask about them."""
        self._check_why(request)
        return objects_view(request)

    def _check_why(self: Any, request: HttpRequest) -> None:
        if not self.has_view_permission(request) or lacking(request.user, NEEDED):
            raise PermissionDenied

    def why_on_time(self, request: HttpRequest, label: str, pk: str) -> list[dict[str, Any]]:
        """What rules on time say of the object; the room that knows them has the answer."""
        return []

    def why_view(self: Any, request: HttpRequest) -> HttpResponseBase:
        """The form, and below it the changes of the object with a verdict a rule."""
        self._check_why(request)
        data = request.GET if request.GET.get("model") or request.GET.get("pk") else None
        form = WhyForm(request.user, data)
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "opts": Rule._meta,
            "title": gettext("Why did it, or did it not, act?"),
            "media": self.media,
            "form": form,
            "objects_url": reverse("admin:rules_engine_rule_why_objects"),
        }
        if data is not None and form.is_valid():
            label = form.cleaned_data["model"]
            chosen = _choose(request, form)
            if chosen.pk and (why := why_unseen(request, label, chosen.pk)):
                form.add_error("q", why)
            elif chosen.pk:
                context |= _answer(request, form.cleaned_data, chosen.pk)
                context["timed"] = self.why_on_time(request, label, chosen.pk)
            else:
                context["offered"] = [(str(row), _url(form, str(row.pk))) for row in chosen.offered]
                context["is_searched"] = bool(form.cleaned_data["q"].strip())
        return TemplateResponse(request, "admin/rules_engine/why/page.html", context)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The key of the object that is asked about; where that is not clear, those that it may be."""

    pk: str = ""
    offered: Any = ()


def _choose(request: HttpRequest, form: WhyForm) -> _Chosen:
    """The object that was chosen, or the one that a name means; what is gone is known by its key alone."""
    label, word, pk = (form.cleaned_data[name].strip() for name in ("model", "q", "pk"))
    name = names_of_objects(request, [(label, pk)]).get((label, pk), pk) if pk else ""
    if pk and word in ("", name):
        form.data = {**_given(form), "q": name}
        return _Chosen(pk)
    found = find(request, label, word)
    if word and len(found) == 1:
        form.data = {**_given(form), "q": str(found[0]), "pk": str(found[0].pk)}
        return _Chosen(str(found[0].pk))
    if word and not found and events_about(names_of(label, word)).exists():
        form.data = {**_given(form), "pk": word}
        return _Chosen(word)
    form.data = {**_given(form), "pk": ""}
    return _Chosen(offered=found)


def _given(form: WhyForm) -> dict[str, Any]:
    return {name: form.data.get(name, "") for name in form.fields}


def _url(form: WhyForm, pk: str) -> str:
    """Where the question is asked of the object with this key."""
    kept = {name: value for name, value in _given(form).items() if value and name != "q"}
    return f"?{urlencode({**kept, 'pk': pk})}"


def _answer(request: HttpRequest, given: Any, pk: str) -> dict[str, Any]:
    label, user = given["model"], request.user
    names_seen = [name for name in names_of(label, pk) if may_view_data(user, name.label)]
    events = list(_before(request, events_about(names_seen, given.get("at")))[: LATEST + 1])
    older, events = events[LATEST:], events[:LATEST]
    watching = rules_on(labels_of(names_seen, (event.model for event in events)))
    names = dict(watching.prefetch_related(None).values_list("slug", "name"))
    word = given["rule"].strip().casefold()
    slugs = [slug for slug in nearest_first(events, names) if word in f"{slug}\n{names.get(slug, '')}".casefold()]
    page = Paginator(slugs, RULES).get_page(request.GET.get(PAGE))
    rules = list(watching.filter(slug__in=page.object_list))
    block = Block(request, events, rules, only=set(page.object_list))
    may_test = user.has_perm(TEST)
    return {
        "asked": True,
        "object": object_name(names_of_objects(request, [(label, pk)]), label, pk),
        "object_url": object_url(label, pk),
        "changes": block.changes(),
        "unheard": _unheard(request, given, label, pk, events),
        "older_url": _with(request, **{BEFORE: str(events[-1].pk), PAGE: ""}) if older else "",
        "newest_url": _with(request, **{BEFORE: "", PAGE: ""}) if request.GET.get(BEFORE) else "",
        "rules": [
            {"rule": rule, "url": page_url("rule", rule.pk), "test_url": test_url(rule, pk) if may_test else ""}
            for rule in rules
        ],
        "named": word,
        "page": page,
        "pages": _pages(request, page),
        "recording": Recording.objects.current().filter(model=label).first(),
        "record_url": record_url(user, label),
    }


def _unheard(request: HttpRequest, given: Any, label: str, pk: str, events: Sequence[Event]) -> UnheardTold | None:
    """What changed since the newest event; of an earlier page nothing is told."""
    model = find_model(label)
    if model is None or not events or given.get("at") or request.GET.get(BEFORE):
        return None
    return unheard_told(request.user, ObjectsSeen(admin.site, request).find(model, pk), events[0])


def _before(request: HttpRequest, events: Any) -> Any:
    """Those before the event that the page before ended with."""
    key = uuid_of(request.GET.get(BEFORE, ""))
    last = Event.objects.filter(pk=key).only("pk", "occurred_at").first() if key is not None else None
    if last is None:
        return events
    return events.filter(Q(occurred_at__lt=last.occurred_at) | Q(occurred_at=last.occurred_at, pk__lt=last.pk))


def _with(request: HttpRequest, **changed: str) -> str:
    given = request.GET.copy()
    for name, value in changed.items():
        given[name] = value
        if not value:
            del given[name]
    return f"?{given.urlencode()}"


def _pages(request: HttpRequest, page: Page[str]) -> list[tuple[Any, str]]:
    """Links to the other pages: number and address, which is empty for this page and for a gap."""
    pages = []
    for number in page.paginator.get_elided_page_range(page.number) if page.has_other_pages() else ():
        is_link = isinstance(number, int) and number != page.number
        pages.append((number, _with(request, **{PAGE: str(number)}) if is_link else ""))
    return pages
