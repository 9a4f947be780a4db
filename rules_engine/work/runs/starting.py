"""Begins a run, and says what keeps a rule from being run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import models, router
from django.db.models.functions import Now
from django.utils.formats import number_format
from django.utils.translation import gettext

from rules_engine import conf
from rules_engine.capture.one_rule.telling import as_told
from rules_engine.context import actor, snapshot
from rules_engine.context.paths import ModelClass, find_model, is_denied, label_of
from rules_engine.context.signals import DELETE_SIGNALS
from rules_engine.context.stored_form import key_of
from rules_engine.errors import RulesEngineError, said_by
from rules_engine.live import cache
from rules_engine.models import Run
from rules_engine.outbox.writing import announce
from rules_engine.rules.matching import CompiledRule
from rules_engine.rules.schedules.kinds import name_of
from rules_engine.surroundings.own_rules import holds_in
from rules_engine.surroundings.state import here
from rules_engine.types import Unread, ask
from rules_engine.work.runs import selecting

#: The signal of events that a run brings about because somebody asked for it.
RUN = "run"
#: That of a run which has a rule wait for what is so already, and records no events.
ARMING = "arming"
#: Keys that are chosen one by one.
MOST_KEYS = 10_000


class CannotRun(RulesEngineError):
    """A rule cannot be run, with the reason as a sentence."""


def why_not(rule: CompiledRule) -> str:
    """Say why the rule cannot be run on what is there, as a sentence; empty where it can."""
    if trouble := why_not_told(rule):
        return trouble
    if name_of(rule.schedule) == "every" and (rule.schedule or {}).get("of") == "rows":
        return gettext("This rule makes one list of all objects at its time; it cannot be run on single ones.")
    return ""


def why_not_told(rule: CompiledRule) -> str:
    """Say why it can be told of no object that is there, one by one or in a list; empty where it can."""
    model = find_model(rule.model) if rule.model else None
    if not rule.model:
        return gettext("This rule watches no model, so there is nothing that it could be run on.")
    if model is None:
        return gettext('There is no model "%s".') % rule.model
    if is_denied(model):
        return gettext("Rules may not listen to %(model)s.") % {"model": model._meta.verbose_name}
    if router.db_for_write(model) != cache.alias():
        return gettext("Its objects are stored in another database than the rules, where nothing can be recorded.")
    if rule.fault:
        return rule.fault
    if _is_about_deletions(rule):
        return gettext("This rule is about what is deleted; what is there is not.")
    if rule.actions and not as_told(rule).actions:
        return gettext("All that this rule does, it does while an object is saved; a run saves none.")
    return ""


def _is_about_deletions(rule: CompiledRule) -> bool:
    hears = set(rule.signals)
    return bool(hears) and (hears <= set(DELETE_SIGNALS) or rule.operations == {"delete"})


def start_run(
    rule_slug: str,
    *,
    selection: Sequence[Any] | None = None,
    asked_by: Any = None,
    signal: str = RUN,
    due: Mapping[str, Any] | None = None,
    version: int | None = None,
    counts_only: bool = False,
    run_id: UUID | None = None,
) -> Run:
    """Have workers tell the rule of all that its condition selects, or of the objects of these keys, and return what
    tells how far that is. In the caller's transaction, if there is one.

    ``asked_by`` is a user, who is the actor of its events, and who has to be allowed to view the objects and to run
    rules as long as it goes on; None is the operator. ``version``: not if the rule is another one by then.
    ``run_id``: the run of that key where there is one already, as by a button that was pressed twice. Raises
    ``CannotRun``, and ``DatabaseError``.
    """
    cache.refresh()
    rule = live_rule(rule_slug)
    if not holds_in(rule.surroundings, here()):
        raise CannotRun(gettext("There is no rule %s that is switched on.") % rule_slug)
    if reason := why_not(rule):
        raise CannotRun(reason)
    model = find_model(rule.model)
    if model is None:
        raise CannotRun(gettext('There is no model "%s".') % rule.model)
    using = cache.alias()
    keys = None if selection is None else told_keys(model, selection)
    rows = selecting.rows_of(model, None if keys is not None else as_told(rule), using)
    told: dict[str, Any] = {
        "rule_slug": rule_slug,
        "rule_version": version,
        "model": label_of(model),
        "signal": signal,
        "due": None if due is None else snapshot.plain(due),
        "keys": keys,
        "actor": actor.Origin(user=asked_by).actor(),
        "asked_by": "" if asked_by is None else str(asked_by.get_username())[:255],
        "surroundings": here(),
        "counts_only": counts_only,
        "last": None if keys is not None else selecting.last_key(selecting.rows_of(model, None, using)),
        "total": len(keys) if keys is not None else _count(rows, signal),
    }
    if run_id is None:
        run = Run.objects.using(using).create(**told)
    else:
        run, _is_new = Run.objects.using(using).get_or_create(pk=run_id, defaults=told)
        if (run.rule_slug, run.asked_by) != (rule_slug, told["asked_by"]):
            raise CannotRun(gettext("This button began another run; open the page again."))
    announce({conf.queue()}, using)
    return run


def _count(rows: models.QuerySet[Any], signal: str) -> int | None:
    """Count what a run looks at, for whoever asked for it; time is watched by nobody, and looks are short."""
    return selecting.count_of(rows) if signal == RUN else None


def live_rule(slug: str) -> CompiledRule:
    """Return the rule as it is tried, also while a pause stops it. Raises ``CannotRun`` where it is off, or gone."""
    rule_set = cache.current()
    if slug in rule_set.paused:
        return rule_set.paused[slug][0]
    rule = rule_set.find(slug)
    if rule is None:
        raise CannotRun(gettext("There is no rule %s that is switched on.") % slug)
    return rule


def told_keys(model: ModelClass, keys: Sequence[Any]) -> list[Any]:
    """Return keys as a run keeps them, each once. Raises ``CannotRun``."""
    if len(keys) > MOST_KEYS:
        counted = {
            "count": number_format(len(keys), force_grouping=True),
            "most": number_format(MOST_KEYS, force_grouping=True),
        }
        message = gettext("These are %(count)s objects; a run takes %(most)s that are chosen one by one.")
        raise CannotRun(message % counted)
    told: dict[str, Any] = {}
    for key in keys:
        known = ask(_known, model, key)
        if isinstance(known, Unread):
            message = gettext("%(model)s has no key %(key)s: %(why)s")
            raise CannotRun(message % {"model": model._meta.label, "key": repr(key), "why": said_by(known.error)})
        plain = snapshot.plain(snapshot.column_value(model._meta.pk, known))
        told.setdefault(str(plain), plain)
    return list(told.values())


def _known(model: ModelClass, key: Any) -> Any:
    known, field = key_of(model, key), model._meta.pk
    if isinstance(field, models.IntegerField):
        field.run_validators(known)  # no database looks for a number that its column could not hold
    return known


def cancel(run_id: Any, *, by: str = "") -> bool:
    """Have a run go no further; says whether it had not ended. What it told so far stays."""
    rows = Run.objects.using(cache.alias()).filter(pk=run_id, state__in=Run.LIVE)
    reason = gettext("Cancelled by %s.") % by if by else ""
    return bool(rows.update(state=Run.State.CANCELLED, reason=reason, ended_at=Now()))
