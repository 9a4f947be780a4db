"""Marks what rules that wait by the clock wait for, in the transaction of the change that tells of it.

A rule that waits whether something stays so is asked what is marked last of its object, and a row is added where that
is another thing: most saves add none. One that waits for silence has a row of each match.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from rules_engine import texts, types
from rules_engine.context import snapshot
from rules_engine.context.subject import Subject
from rules_engine.context.visible import read_by
from rules_engine.databases.prepared.inserts import Rows, insert_together
from rules_engine.databases.prepared.queries import Mark, Prepared, prepare
from rules_engine.databases.savepoints import fetch_one
from rules_engine.errors import said_by
from rules_engine.live import cache
from rules_engine.models import Armed
from rules_engine.rules import matching
from rules_engine.rules.holding import key_of_text
from rules_engine.rules.matching import CompiledRule
from rules_engine.rules.schedules.arms import Arms
from rules_engine.surroundings.state import functions, here
from rules_engine.types import Evaluation, Unread, ask

Pairs = Sequence[tuple[CompiledRule, Evaluation]]
NAMES = ("id", "rule_slug", "key", "model", "object_pk", "surroundings", "holds", "state")


def marked(subject: Subject, pairs: Pairs) -> Pairs:
    """Mark what the rules among these that wait by the clock wait for, and return the others.

    What keeps one from being marked is an error of its rule.
    """
    left = []
    for rule, evaluation in pairs:
        if rule.arms is None:
            left.append((rule, evaluation))
        elif evaluation.outcome == "matched":
            done = ask(_mark, subject, rule, rule.arms)
            if isinstance(done, Unread):
                left.append((rule, matching.failed(rule, said_by(done.error))))
        elif evaluation.outcome == "error" and rule.arms.holds:
            left.append((rule, evaluation))
    return left


def _mark(subject: Subject, rule: CompiledRule, arms: Arms) -> None:
    using = cache.alias()
    key, surroundings = placed(key_for(subject, rule, arms))
    if arms.kind == "stays" and _last(rule.slug, key, using) is arms.holds:
        return
    pk = None if subject.instance is None else snapshot.plain(subject.pk)
    add([{"rule_slug": rule.slug, "key": key, "model": subject.model, "object_pk": pk, "surroundings": surroundings,
          "holds": arms.holds}], using)  # fmt: skip


def placed(key: str) -> tuple[str, str]:
    """Return what is waited for as ``Armed`` keeps it, apart for each surroundings, and the surroundings of here."""
    surroundings = here() if functions() else ""
    apart = f"{surroundings} " if surroundings else ""
    return key_of_text(apart + key), surroundings


def key_for(subject: Subject, rule: CompiledRule, arms: Arms) -> str:
    """Return what is waited for by itself, as its author reads it. Raises ``TemplateError``."""
    if arms.kind == "stays":
        return key_of(rule, subject.model, subject.pk)
    if not arms.by:
        return ""
    context = subject.context(arms.by_reads)
    return texts.render(arms.by, read_by(arms.by_reads, context, subject.model))


def key_of(rule: CompiledRule, model: str, pk: Any) -> str:
    """Return an object as a key, by the rule's model."""
    return f"{(rule.model or model).lower()}:{pk}"


def _last(slug: str, key: str, using: str) -> bool:
    """Say what is marked last of it: that it is so, or not, as where nothing is marked."""
    row = fetch_one(using, *_asking_last(using).text(slug, key))  # in one trip, for somebody waits for the save
    return row is not None and bool(row[0])


@lru_cache(maxsize=8)
def _asking_last(using: str) -> Prepared[Any]:
    slug, key = Mark.of(Armed, "rule_slug"), Mark.of(Armed, "key", 1)
    rows = Armed.objects.using(using).filter(rule_slug=slug.value, key=key.value).order_by("-created_at", "-id")
    return prepare(rows.values_list("holds")[:1], slug, key)


def add(marks: Sequence[Mapping[str, Any]], using: str) -> None:
    """Add marks, each with some of the columns ``NAMES``; the others are filled in. Raises ``DatabaseError``."""
    common = {"state": Armed.State.NEW.value, "surroundings": "", "holds": True, "model": "", "object_pk": None}
    whole = [{"id": types.new_id(), **common, **mark} for mark in marks]
    if whole:
        insert_together([Rows(Armed, NAMES, [[mark[name] for name in NAMES] for mark in whole])], using)
