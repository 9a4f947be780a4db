"""The page that runs a rule on what is there: first what it would do, and to how many; then the button for it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.db import models
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import path
from django.utils.formats import number_format
from django.utils.translation import gettext, ngettext

from rules_engine.admin.parts.objects import ObjectsSeen, names_of_objects
from rules_engine.admin.parts.rendering import object_cell, page_url
from rules_engine.admin.parts.rule_page import page, refused, rule_for, unseen
from rules_engine.admin.prose.reader import Reader
from rules_engine.admin.reading.sentence import sentence_for
from rules_engine.admin.test.now import kept_now
from rules_engine.admin.test.rule_test import shown_test
from rules_engine.capture.one_rule.telling import as_told
from rules_engine.context.paths import ModelClass, find_model, label_of
from rules_engine.errors import Unreadable
from rules_engine.live import cache
from rules_engine.models import Event, Rule, Run
from rules_engine.rules.matching import CompiledRule
from rules_engine.test.ahead.what_is_there import Look, left_out, look_at, occasion_for, tested_as_told
from rules_engine.types import RuleSpec, new_id
from rules_engine.work.runs import selecting
from rules_engine.work.runs.permitted import RUN_RULE
from rules_engine.work.runs.starting import MOST_KEYS, CannotRun, live_rule, start_run, told_keys, why_not

#: Seconds that the page looks at objects, before it says what it saw so far.
SECONDS = 3.0
#: Objects that are read by one statement.
CHUNK = 500
VIEW_RUN = "rules_engine.view_run"


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the rule is to be run on, as far as who asks sees it. Without ``keys``: all that is selected."""

    objects: models.QuerySet[Any] | Sequence[models.Model]
    keys: list[Any] | None = None
    may_see: Callable[[Any], bool] | None = None


class RunMixin:
    """Adds the page to the admin of rules."""

    def get_urls(self: Any) -> list[Any]:
        """The page, before the admin's own addresses, whose last one takes any."""
        view = self.admin_site.admin_view(self.run_view)
        return [path("<path:object_id>/run/", view, name="rules_engine_rule_run"), *super().get_urls()]  # type: ignore[misc]

    def run_view(self: Any, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """GET, and POST with ``keys`` alone, show what would be done; POST with ``start`` has it done."""
        rule = rule_for(self, request, object_id, RUN_RULE)
        spec, title = rule.spec(), gettext("Run it on what is there")
        if why := unseen(request.user, spec):
            return refused(self, request, rule, title, why)
        cache.refresh()
        try:
            compiled = live_rule(rule.slug)
            if why := why_not(compiled):
                raise CannotRun(why)
            chosen = _chosen(ObjectsSeen(self.admin_site, request), compiled, request)
            if request.method == "POST" and {"start", "count"} & set(request.POST):
                run = _started(request, compiled, chosen)
                _note(self, request, rule, run)
                return _on_its_way(self, request, rule, run)
        except CannotRun as error:
            return page(self, request, rule, "run.html", title, why=str(error), sentence=_sentence(request, rule))
        except _ChangedSince as error:
            self.message_user(request, str(error), messages.WARNING)
        context = _shown(request, rule, spec, compiled, chosen)
        return page(self, request, rule, "run.html", title, **context)


def _on_its_way(model_admin: Any, request: HttpRequest, rule: Rule, run: Run) -> HttpResponseBase:
    """Lead to how far the run is; whoever may not view runs, back to the rule."""
    if request.user.has_perm(VIEW_RUN):
        return HttpResponseRedirect(page_url("run", run.pk))
    model_admin.message_user(request, gettext("The run has begun."), messages.SUCCESS)
    return HttpResponseRedirect(page_url("rule", rule.pk))


class _ChangedSince(Exception):
    """The rule is another one than the page showed that was posted."""


def _sentence(request: HttpRequest, rule: Rule) -> Any:
    return sentence_for(rule, Reader(request.user))


def _chosen(seen: ObjectsSeen, rule: CompiledRule, request: HttpRequest) -> Chosen:
    """Return the objects that the request names, without those that who asks does not see. Raises ``CannotRun``."""
    model = find_model(rule.model)
    if model is None:
        raise CannotRun(why_not(rule))
    named = _named(request)
    if named is not None:
        return _of_keys(seen, model, told_keys(model, named))
    if not seen.hides_some(model) or getattr(request.user, "is_superuser", False):
        return Chosen(selecting.rows_of(model, as_told(rule), cache.alias()))
    rows = selecting.narrowed(seen.rows(model), as_told(rule)).order_by("pk")
    return Chosen(rows, may_see=seen.is_shown)


def _named(request: HttpRequest) -> list[Any] | None:
    """Return the keys that the request names; None where it names none, which is all. Raises ``CannotRun``."""
    text = request.POST.get("keys", "")
    if not text:
        return request.GET.getlist("pk") or None
    try:
        keys = json.loads(text)
    except (ValueError, RecursionError):
        keys = None
    if not isinstance(keys, list):
        raise CannotRun(gettext("What was chosen cannot be read; choose it again."))
    return keys


def _of_keys(seen: ObjectsSeen, model: ModelClass, keys: list[Any]) -> Chosen:
    found: list[models.Model] = []
    for start in range(0, len(keys), CHUNK):
        part = selecting.of_keys(seen.rows(model), keys[start : start + CHUNK])
        found += [row for row in part if seen.is_shown(row)]
    return Chosen(found, [selecting.told(row) for row in found])


def _started(request: HttpRequest, rule: CompiledRule, chosen: Chosen) -> Run:
    """Begin the run. Raises ``CannotRun``, and ``_ChangedSince``."""
    if request.POST.get("version") != str(rule.version):
        raise _ChangedSince(gettext("The rule was changed since you looked; this is what it would do now."))
    keys = chosen.keys
    if chosen.may_see is not None:
        keys = _keys_seen(chosen)
    only_counts = "start" not in request.POST
    return start_run(
        rule.slug,
        selection=keys,
        asked_by=request.user,
        version=rule.version,
        counts_only=only_counts,
        run_id=_run_id(request, only_counts=only_counts),
    )


def _run_id(request: HttpRequest, *, only_counts: bool) -> uuid.UUID | None:
    """Return the key that the page gave its run, so that a button that is pressed twice begins one; None where it
    cannot be read. Counting is a run of its own."""
    try:
        given = uuid.UUID(request.POST.get("run", ""))
    except ValueError:
        return None
    return uuid.uuid5(given, "count") if only_counts else given


def _keys_seen(chosen: Chosen) -> list[Any]:
    """Return the keys of those that who asks sees, where that is not all there are: a worker cannot ask."""
    rows = list(chosen.objects[: MOST_KEYS + 1])
    # What was cut off may be seen as well: a part of them is never taken for all.
    if len(rows) > MOST_KEYS:
        text = gettext("You see a part of these objects, and more than %s: choose some of them in their list.")
        raise CannotRun(text % number_format(MOST_KEYS, force_grouping=True))
    return [selecting.told(row) for row in rows if chosen.may_see is None or chosen.may_see(row)]


def _note(model_admin: Any, request: HttpRequest, rule: Rule, run: Run) -> None:
    """Write into the history of the rule who has it run, on what."""
    if run.counts_only:
        text = gettext("Counted on how many objects it would act.")
    elif run.keys is None:
        text = gettext("Run on all that its condition selects.")
    else:
        count = len(run.keys)
        text = ngettext("Run on %s chosen object.", "Run on %s chosen objects.", count) % count
    model_admin.log_change(request, rule, text)


def _shown(request: HttpRequest, rule: Rule, spec: RuleSpec, compiled: CompiledRule, chosen: Chosen) -> dict[str, Any]:
    occasion = occasion_for(request.user)
    look = look_at(as_told(compiled), chosen.objects, occasion, cache.alias(), seconds=SECONDS, may_see=chosen.may_see)
    first, notes = _first(request, rule, spec, look)
    return {
        "sentence": _sentence(request, rule),
        "look": look,
        "keys": "" if chosen.keys is None else json.dumps(chosen.keys),
        "is_all": chosen.keys is None,
        "version": compiled.version,
        "run_id": new_id(),
        "left_out": left_out(spec),
        "notes": notes,
        "first": first,
    }


def _first(request: HttpRequest, rule: Rule, spec: RuleSpec, look: Look) -> tuple[list[dict[str, Any]], Any]:
    """Return the first objects with what would be done to each, and what would keep the rule from it now."""
    label = label_of(type(look.first[0])) if look.first else ""
    names = names_of_objects(request, [(label, str(row.pk)) for row in look.first])
    shown, notes = list[dict[str, Any]](), list[Any]()
    for row in look.first:
        cell = object_cell(Event(model=label, object_pk=str(row.pk)), names)
        try:
            test = tested_as_told(spec, row, request.user)
        except Unreadable as error:
            shown.append({"object": cell, "trouble": str(error)})
            continue
        notes = notes or kept_now(request, rule, test)["notes"]
        shown.append({"object": cell, "actions": shown_test(test, spec)["actions"]})
    return shown, notes
