"""Takes together what saves have marked, and has rules told of what has been so, or silent, for long enough.

One worker at a time does that for a rule. What it does stands in one transaction with what it leads to, so that each
acts once, whoever is killed. All by the database's clock.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import models, transaction
from django.db.models import DateTimeField, ExpressionWrapper, F, Value
from django.db.models.functions import Now

from rules_engine.capture.one_rule.telling import Answer, Occasion, as_told, ask_of, subject_of, tell
from rules_engine.capture.one_rule.without_object import tell_of_none
from rules_engine.context import actor, snapshot
from rules_engine.context.paths import find_model
from rules_engine.context.stored_form import key_value
from rules_engine.databases import database_of
from rules_engine.databases.uncached import reading_current
from rules_engine.errors import NotEntered
from rules_engine.live import cache
from rules_engine.models import Armed, Pause, Rule, Schedule
from rules_engine.rules.matching import CompiledRule
from rules_engine.rules.schedules.arms import Arms
from rules_engine.rules.schedules.kinds import DUE
from rules_engine.surroundings.listed import are_listed, place_of
from rules_engine.surroundings.own_rules import holds_in
from rules_engine.surroundings.state import within
from rules_engine.types import Unread, ask
from rules_engine.work.runs.arming import asked_when_due
from rules_engine.work.schedules.asking_again import objects_of
from rules_engine.work.schedules.told_errors import is_news, tell_error

logger = logging.getLogger("rules_engine")

#: Marks that are taken together, and objects that are told, in one transaction.
FOLDED, BATCH = 1_000, 200
#: Seconds until it is tried again, where the rule is not known here yet or could not be told.
TROUBLE_SECONDS = 60
#: After so long a condition is asked again that could not be evaluated.
FAILED = timedelta(hours=1)
#: What acted is looked at so seldom, whether it is gone or no more so: it acts no second time before that.
FORGET = timedelta(days=30)


#: A rule's slug, and the surroundings in which it waits for something; all of them.
Place = tuple[str, str]
ANYWHERE = "*"


def _rows() -> models.QuerySet[Armed]:
    return Armed.objects.using(cache.alias())


def due(now: datetime | None = None) -> models.QuerySet[Armed]:
    """Return the marks that are to be taken together, and what is due of what was armed."""
    at = Now() if now is None else Value(now, output_field=DateTimeField())
    return _rows().filter(due_at__lte=at)


def is_any_due(now: datetime | None = None) -> bool:
    """Say whether something is to be taken together or told that no pause stops."""
    return _next(now, ()) is not None


def tell_due(*, seconds: float = float("inf"), now: datetime | None = None) -> int:
    """Take together and tell what is due until nothing is, or the time is up. Returns how many rows were looked at.

    ``now`` is the time to go by, for tests; None is the database's.
    """
    end, total = time.monotonic() + seconds, 0
    elsewhere: set[Place] = set()
    while time.monotonic() < end and (found := _next(now, elsewhere)) is not None:
        cache.refresh()
        slug, surroundings = found
        done = ask(_look, slug, surroundings, now)
        if isinstance(done, Unread):
            if database_of(cache.alias()).is_rivalry(done.error):
                elsewhere.add(found)
            else:
                _put_back(slug, surroundings, done.error, now)
        elif not done:
            elsewhere.add((slug, ANYWHERE))  # another worker is at it
        else:
            total += done
            _schedules(slug).filter(surroundings=place_of(surroundings)).exclude(error="").update(error="")
    return total


def _schedules(slug: str) -> models.QuerySet[Schedule]:
    return Schedule.objects.using(cache.alias()).filter(rule_slug=slug)


def _put_back(slug: str, surroundings: str, error: Exception, now: datetime | None) -> None:
    """Leave what a rule waits for in a place for later; what it waits for in others is not held up. Of a tenant that
    the site lists no more it is forgotten."""
    rows = _rows().filter(rule_slug=slug, surroundings=surroundings)
    schedules = _schedules(slug)
    there = schedules.filter(surroundings=place_of(surroundings)).first()
    if isinstance(error, NotEntered) and are_listed() and there is None and schedules.exists():
        rows.delete()
        return
    message = Unread(error).message
    if there is None or is_news(there, message):
        logger.error("What %s waits for could not be told; it is tried again.", slug, exc_info=error)
    _put_off(_due_of(rows, now), TROUBLE_SECONDS, now)
    if there is not None:
        schedules.filter(pk=there.pk).update(error=message)
        tell_error(there, message)


def _next(now: datetime | None, elsewhere: Collection[Place]) -> Place | None:
    rows = due(now).order_by("due_at")
    for slug, surroundings in elsewhere:
        at = {} if surroundings == ANYWHERE else {"surroundings": surroundings}
        rows = rows.exclude(rule_slug=slug, **at)
    first = rows.values_list("rule_slug", "surroundings").first()
    if first is None:  # as nearly always, and then no pause matters
        return None
    pauses = Pause.objects.using(rows.db).current()
    if not pauses.exists():
        return first
    slugs = list(rows.order_by().values_list("rule_slug", flat=True).distinct())
    known = dict(Rule.objects.using(rows.db).filter(slug__in=slugs).values_list("slug", "model"))
    paused = pauses.paused_slugs([(slug, known.get(slug, "")) for slug in slugs])
    return rows.exclude(rule_slug__in=paused).values_list("rule_slug", "surroundings").first()


def _put_off(rows: models.QuerySet[Armed], seconds: float, now: datetime | None) -> None:
    begin: Any = Now() if now is None else Value(now, output_field=DateTimeField())
    later = ExpressionWrapper(begin + Value(timedelta(seconds=seconds)), output_field=DateTimeField())
    rows.update(due_at=later)


def _number_of(slug: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"armed {slug}".encode(), digest_size=8).digest(), signed=True)


def _look(slug: str, surroundings: str, now: datetime | None) -> int:
    """Look at what is due of one rule; 0 where another worker does."""
    using = cache.alias()
    with within(surroundings), reading_current(using), transaction.atomic(using=using):
        if not database_of(using).has_turn(_number_of(slug), using):
            return 0
        rows = _rows().filter(rule_slug=slug, surroundings=surroundings)
        rule = cache.current().find(slug)
        if rule is None or rule.arms is None or not holds_in(rule.surroundings, surroundings):
            return _without_rule(slug, rows, now)
        folded = _fold(rows, rule.arms)
        return folded or _tell(rows, rule, rule.arms, now, using)


def _without_rule(slug: str, rows: models.QuerySet[Armed], now: datetime | None) -> int:
    """Forget what a rule waits for that is off or gone; leave it where this process only does not know the rule."""
    live = Rule.objects.using(rows.db).filter(slug=slug, enabled=True).values_list("schedule", flat=True).first()
    if isinstance(live, Mapping) and live.get("kind") in ("stays", "silent"):
        _put_off(rows.filter(pk__in=_keys(_due_of(rows, now))), TROUBLE_SECONDS, now)
        return 1
    return forget(rows) or _count(rows.delete())


def forget(rows: models.QuerySet[Armed]) -> int:
    """Forget what is waited for. What acted is kept, so that it does not act again."""
    return _count(rows.exclude(state=Armed.State.DONE).delete())


def _count(deleted: tuple[int, Any]) -> int:
    return deleted[0]


def _due_of(rows: models.QuerySet[Armed], now: datetime | None) -> models.QuerySet[Armed]:
    at = Now() if now is None else Value(now, output_field=DateTimeField())
    return rows.filter(due_at__lte=at)


def _keys(rows: models.QuerySet[Armed]) -> list[Any]:
    return list(rows.values_list("pk", flat=True))


# What saves have marked


@dataclass(slots=True)
class Folded:
    """What becomes of marks: ``begun`` are those since which something is so, ``gone`` those that say no more."""

    begun: list[Any] = field(default_factory=list)
    gone: list[Any] = field(default_factory=list)


def folded(known: Any, marks: Sequence[tuple[Any, bool]], kind: str) -> Folded:
    """Say what becomes of a key's marks, in order, each a row's id and whether it holds; ``known`` is the id of the row
    that is kept of it, None without. Pure.

    What stays so counts from the first mark; silence counts from the last.
    """
    came, current = Folded(), known
    for pk, holds in marks:
        if holds and current is not None and kind == "stays":
            came.gone.append(pk)
            continue
        if current is not None:
            came.gone.append(current)
        current = pk if holds else None
        if not holds:
            came.gone.append(pk)
    if current is not None and current != known:
        came.begun.append(current)
    return came


def _fold(rows: models.QuerySet[Armed], arms: Arms) -> int:
    """Take together what is new of a rule; returns how many marks that were."""
    # By when they are due, which is at once: of a million that wait, those are found by the index.
    new = rows.filter(state=Armed.State.NEW, due_at__lte=Now()).order_by("created_at", "id")
    marks: dict[str, list[tuple[Any, bool]]] = {}
    for pk, key, holds in new.values_list("pk", "key", "holds")[:FOLDED]:
        marks.setdefault(key, []).append((pk, holds))
    if not marks:
        return 0
    kept = rows.filter(key__in=list(marks)).exclude(state=Armed.State.NEW)
    known = dict(kept.values_list("key", "pk"))
    came = [folded(known.get(key), of_key, arms.kind) for key, of_key in marks.items()]
    rows.filter(pk__in=[pk for each in came for pk in each.gone]).delete()
    begin(rows.filter(pk__in=[pk for each in came for pk in each.begun]), arms)
    return sum(map(len, marks.values()))


def begin(rows: models.QuerySet[Armed], arms: Arms) -> None:
    """Have these wait, each from when it came to be so."""
    length = Value(timedelta(seconds=arms.seconds))
    rows.update(state=Armed.State.WAITING, due_at=ExpressionWrapper(F("created_at") + length, DateTimeField()))


# What is due


def _tell(rows: models.QuerySet[Armed], rule: CompiledRule, arms: Arms, now: datetime | None, using: str) -> int:
    due = list(_due_of(rows, now).order_by("due_at", "id").annotate(now=Now())[:BATCH])
    if not due:
        return 0
    at: datetime = due[0].now if now is None else now
    waiting = [row for row in due if row.state == Armed.State.WAITING]
    done = [row for row in due if row.state == Armed.State.DONE]
    if arms.kind == "silent":
        _tell_of_silence(rows, rule, waiting, at, using)
    elif waiting:
        _tell_of_what_stays(rows, asked_when_due(rule, arms), waiting, at, using)
    if done:
        _look_at_done(rows, asked_when_due(rule, arms), done, at)
    return len(due)


def _told_of(row: Armed) -> dict[str, str]:
    return {"at": row.due_at.astimezone(UTC).isoformat(), "date": row.created_at.astimezone(UTC).isoformat()}


def _found(rows: Sequence[Armed]) -> dict[Any, models.Model]:
    """Return the objects of these rows that are there, by the row's id."""
    found: dict[Any, models.Model] = {}
    for label in {row.model for row in rows if row.model}:
        own = [row for row in rows if row.model == label]
        objects = objects_of(find_model(label), [row.object_pk for row in own])
        by_key = {str(snapshot.plain(key_value(instance))): instance for instance in objects}
        found |= {row.pk: by_key[str(row.object_pk)] for row in own if str(row.object_pk) in by_key}
    return found


def _tell_of_what_stays(
    rows: models.QuerySet[Armed], rule: CompiledRule, due: Sequence[Armed], at: datetime, using: str
) -> None:
    found = _found(due)
    there = [row for row in due if row.pk in found]
    answers = _answers(rule, there, found, at, using)
    ended = [row.pk for row in due if row.pk not in found]
    ended += [row.pk for row, answer in zip(there, answers, strict=True) if answer.outcome == "not_matched"]
    rows.filter(pk__in=ended).delete()
    left = []
    for row, answer in zip(there, answers, strict=True):
        if answer.outcome == "matched":
            row.state, row.due_at, row.event_id = Armed.State.DONE, at + FORGET, answer.event_id
        elif answer.outcome == "error":
            row.due_at = at + FAILED
        left += [row] if answer.outcome != "not_matched" else []
    Armed.objects.using(using).bulk_update(left, ["state", "due_at", "event_id"])


def _answers(
    rule: CompiledRule, rows: Sequence[Armed], found: Mapping[Any, models.Model], at: datetime, using: str
) -> list[Answer]:
    return tell(
        rule,
        [found[row.pk] for row in rows],
        Occasion(DUE, at, actor.NOWHERE),
        using=using,
        rule_set=cache.current().number,
        dues=[_told_of(row) for row in rows],
    )


def _tell_of_silence(
    rows: models.QuerySet[Armed], rule: CompiledRule, due: Sequence[Armed], at: datetime, using: str
) -> None:
    found, told = _found(due), replace(as_told(rule), condition=None, reads=frozenset())
    _answers(told, [row for row in due if row.pk in found], found, at, using)
    for row in due:
        if row.pk not in found:
            occasion = Occasion(DUE, at, actor.NOWHERE, _told_of(row))
            tell_of_none(told, occasion, using=using, rule_set=cache.current().number)
    # It acts again when something has come, and then no more.
    rows.filter(pk__in=[row.pk for row in due]).delete()


def _look_at_done(rows: models.QuerySet[Armed], rule: CompiledRule, done: Sequence[Armed], at: datetime) -> None:
    """Forget what acted and is gone, or no more so without a save that told of it."""
    found, occasion = _found(done), Occasion(DUE, at, actor.NOWHERE)
    ended = []
    for row in done:
        said = ask_of(rule, subject_of(found[row.pk], occasion)) if row.pk in found else None
        if said is None or said.outcome == "not_matched":
            ended.append(row.pk)
    rows.filter(pk__in=ended).delete()
    rows.filter(pk__in=[row.pk for row in done if row.pk not in ended]).update(due_at=at + FORGET)
