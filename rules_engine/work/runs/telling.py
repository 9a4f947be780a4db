"""Tells runs, part by part: the work of a run that nobody waits for."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.db import models, transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now
from django.utils.translation import gettext

from rules_engine.capture.one_rule.telling import Answer, Occasion, as_told, ask_of, subject_of, tell
from rules_engine.capture.origins.as_json import KnownActor
from rules_engine.context import actor
from rules_engine.context.paths import find_model
from rules_engine.databases.generic import passing_locked, seconds_from_now
from rules_engine.databases.uncached import reading_current, uncached
from rules_engine.live import cache
from rules_engine.models import Rule, Run
from rules_engine.rules.matching import CompiledRule
from rules_engine.rules.permissions import may_view_data
from rules_engine.surroundings.own_rules import holds_in
from rules_engine.surroundings.state import within
from rules_engine.types import Unread, ask
from rules_engine.work.runs import selecting
from rules_engine.work.runs.arming import arm_all
from rules_engine.work.runs.permitted import RUN_RULE
from rules_engine.work.runs.starting import ARMING, RUN, why_not

logger = logging.getLogger("rules_engine")

#: Seconds until a part that could not be told is tried again, doubled each time up to the longest.
FIRST_WAIT, LONGEST_WAIT = 10.0, 3600.0
#: Seconds until it is looked again whether a pause has ended.
PAUSED_WAIT = 10.0


def _rows() -> models.QuerySet[Run]:
    return Run.objects.using(cache.alias())


def due() -> models.QuerySet[Run]:
    """Return the runs of which a part is to be told."""
    return _rows().filter(state__in=Run.LIVE, due_at__lte=Now())


def is_any_due() -> bool:
    """Say whether a part of some run is to be told."""
    return due().exists()


def tell_due(*, seconds: float = float("inf")) -> int:
    """Tell what is due until nothing is, or the time is up. Returns how many parts were told."""
    end, count = time.monotonic() + seconds, 0
    elsewhere: set[Any] = set()
    while time.monotonic() < end and (pk := _next(elsewhere)) is not None:
        cache.refresh()
        done = ask(_tell, pk)
        if isinstance(done, Unread):
            _put_back(pk, done.error)
        elif done:
            count += 1
        else:
            elsewhere.add(pk)  # another worker is at it
    return count


def _next(elsewhere: set[Any]) -> Any:
    return due().exclude(pk__in=elsewhere).order_by("due_at", "id").values_list("pk", flat=True).first()


def _put_back(pk: Any, error: Exception) -> None:
    logger.error("A part of a run could not be told; it is tried again.", exc_info=error)
    rows = _rows().filter(pk=pk, state__in=Run.LIVE)
    failures = rows.values_list("failures", flat=True).first()
    if failures is not None:
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(failures, 20))
        reason = gettext("A part could not be told (%s); it is tried again.") % type(error).__name__
        rows.update(failures=F("failures") + 1, reason=reason, due_at=seconds_from_now(wait))


@dataclass(slots=True)
class _Part:
    """What came of a part: where it ended, how many were looked at and what the rule said, whether it was the last."""

    cursor: Any = None
    is_last: bool = True
    outcomes: Counter[str] = field(default_factory=Counter)
    detail: str = ""

    def add(self, answers: Sequence[Answer]) -> None:
        self.outcomes.update(answer.outcome for answer in answers)
        self.detail = next((answer.detail for answer in answers if answer.outcome == "error"), "")


def _tell(pk: Any) -> bool:
    """Tell one part; says whether there was one, that no other worker had."""
    using = cache.alias()
    surroundings = _rows().filter(pk=pk).values_list("surroundings", flat=True).first()
    with within(surroundings or ""), transaction.atomic(using=using):
        run: Any = passing_locked(due().filter(pk=pk)).annotate(now=Now()).first()
        # Where no row is locked, the second worker waits here, and finds that the first has done it.
        if run is None or not _rows().filter(pk=pk, step=run.step).update(step=F("step") + 1):
            return False
        rule = _rule_of(run)
        if isinstance(rule, _Waiting):
            _rows().filter(pk=pk).update(reason=rule.reason, due_at=seconds_from_now(PAUSED_WAIT))
        elif isinstance(rule, str):
            _end(run, Run.State.STOPPED, rule)
        else:
            _advance(run, _told(run, as_told(rule), run.now, using))
    return True


class _Waiting(str):
    """Why a run is to wait."""

    @property
    def reason(self) -> str:
        return str(self)


def _rule_of(run: Run) -> CompiledRule | str:
    """Return the rule, or why it is not to be run on."""
    rule_set = cache.current()
    rule = rule_set.find(run.rule_slug)
    if run.rule_slug in rule_set.paused:
        return _Waiting(gettext("The rule is paused; the run goes on when that ends."))
    if rule is None or not holds_in(rule.surroundings, run.surroundings):
        is_there = rule is None and Rule.objects.using(cache.alias()).filter(slug=run.rule_slug).exists()
        return gettext("The rule was switched off.") if is_there else gettext("The rule was deleted.")
    if run.rule_version is not None and rule.version != run.rule_version:
        return gettext("The rule was changed; look at what it would do now, and run it again.")
    return why_not(rule) or _refusal(run) or rule


def _refusal(run: Run) -> str:
    """Say why whoever asked for it may not run it any more, as a sentence; empty where they may, or nobody asked."""
    if run.actor_id is None:
        return ""
    # Whoever asked is a user of where they asked, which is not always where the rules' authors are.
    user = uncached(get_user_model()._default_manager.filter(pk=run.actor_id)).first()
    if user is None or not user.is_active:
        return gettext("%s, who asked for it, is gone or inactive.") % run.asked_by
    if run.signal == RUN and not (user.has_perm(RUN_RULE) and may_view_data(user, run.model)):
        return gettext("%s, who asked for it, may not run rules on these objects any more.") % run.asked_by
    return ""


def _told(run: Run, rule: CompiledRule, now: datetime, using: str) -> _Part:
    part, objects = _objects(run, rule, using)
    occasion = occasion_of(run, now)
    if run.signal == ARMING:
        with actor.again(occasion.origin), reading_current(using):
            part.add(arm_all(rule, objects, occasion, using))
    elif run.counts_only:
        part.add(counted(rule, objects, occasion, using))
    else:
        part.add(tell(rule, objects, occasion, using=using, rule_set=cache.current().number))
    return part


def counted(rule: CompiledRule, objects: Sequence[models.Model], occasion: Occasion, using: str) -> list[Answer]:
    """Ask the rule (``as_told``) of each object, and record nothing."""
    answers = list[Answer]()
    with actor.again(occasion.origin), reading_current(using):
        for instance in objects:
            said = ask_of(rule, subject_of(instance, occasion))
            answers.append(
                Answer(instance, "not_matched" if said is None else said.outcome, None, said.detail if said else "")
            )
    return answers


def occasion_of(run: Run, now: datetime) -> Occasion:
    """Return why the rule is told, and when by the database's clock."""
    user = None if run.actor is None else KnownActor(run.actor["id"], run.actor["username"])
    # By its id the events of a run are found, as those of a request are.
    asked = {"id": run.pk.hex, "method": "RUN", "path": run.rule_slug}
    return Occasion(run.signal, now, actor.Origin(user=user, told=asked), run.due)


def _objects(run: Run, rule: CompiledRule, using: str) -> tuple[_Part, list[models.Model]]:
    """Return the objects of the next part."""
    model = find_model(run.model)
    if model is None:
        return _Part(), []
    if run.keys is not None:
        begin = run.cursor or 0
        end = begin + selecting.PART
        found = selecting.of_keys(selecting.rows_of(model, None, using), run.keys[begin:end])
        return _Part(end, end >= len(run.keys)), found
    if run.last is None:
        return _Part(), []
    rows = selecting.after(selecting.rows_of(model, rule, using), run.cursor, run.last)
    objects = list(rows[: selecting.PART])
    is_last = len(objects) < selecting.PART
    return _Part(selecting.told(objects[-1]) if objects else run.cursor, is_last), objects


def _advance(run: Run, part: _Part) -> None:
    """Write down how far it is."""
    columns: dict[str, Any] = {
        "cursor": part.cursor,
        "looked_at": run.looked_at + part.outcomes.total(),
        "matched": run.matched + part.outcomes["matched"],
        "failed": run.failed + part.outcomes["error"],
        "failures": 0,
        "reason": part.detail or (run.reason if run.failed else ""),
        "started_at": Coalesce("started_at", Now()),
    }
    if part.is_last:
        _end(run, Run.State.DONE, **columns)
    else:
        _rows().filter(pk=run.pk).update(state=Run.State.RUNNING, due_at=Now(), **columns)


def _end(run: Run, state: str, reason: str = "", **columns: Any) -> None:
    if run.keys is not None:
        columns["keys"] = []
    _rows().filter(pk=run.pk).update(**{"reason": reason, **columns}, state=state, ended_at=Now())
