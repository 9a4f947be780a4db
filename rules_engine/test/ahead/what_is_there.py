"""What a run of a rule on what is there would do: to how many objects, and to the first of them what. Nothing is
done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext, ngettext

from rules_engine.capture.one_rule.telling import Occasion, acts_later, as_told, subject_of
from rules_engine.context import actor
from rules_engine.live.compiler import compile_rule
from rules_engine.rules import registry
from rules_engine.rules.matching import CompiledRule
from rules_engine.rules.schedules.kinds import name_of
from rules_engine.test.rule_test import Tested, tested_on_subject, without_consequence
from rules_engine.types import RuleSpec
from rules_engine.work.runs import selecting
from rules_engine.work.runs.starting import RUN
from rules_engine.work.runs.telling import counted

#: Objects that are shown with what would be done.
SHOWN = 3
#: Objects that are asked about between two looks at the clock.
CHUNK = 100
#: What only a change, or a time, tells: a run that somebody asks for knows nothing of it.
UNTOLD = ("old", "changes", "changed", "created", "m2m", "signal", "due", "rows", "events")


@dataclass(slots=True)
class Look:
    """What a rule says of objects. ``is_whole``: all of them were looked at; else ``total`` says how many there are."""

    total: int
    matched: int = 0
    looked_at: int = 0
    failed: int = 0
    detail: str = ""
    is_whole: bool = True
    #: The first that it matched.
    first: list[models.Model] = field(default_factory=list)

    @property
    def about(self) -> int:
        """How many it would match of all, as far as those that were looked at tell."""
        return self.matched if self.is_whole else round(self.matched * self.total / max(1, self.looked_at))


def look_at(
    rule: CompiledRule,
    objects: models.QuerySet[Any] | Sequence[models.Model],
    occasion: Occasion,
    using: str,
    *,
    seconds: float,
    may_see: Callable[[Any], bool] | None = None,
    watch: Callable[[Look], None] | None = None,
) -> Look:
    """Ask the rule (``as_told``) of the objects, for so many seconds at most. ``may_see`` leaves out objects; ``watch``
    is told how far it is."""
    end = time.monotonic() + seconds
    parts: Iterable[Sequence[models.Model]]
    if isinstance(objects, models.QuerySet):
        look, parts = Look(selecting.count_of(objects)), selecting.in_parts(objects, CHUNK)
    else:
        starts = range(0, len(objects), CHUNK)
        look, parts = Look(len(objects)), [objects[start : start + CHUNK] for start in starts]
    # In no transaction: on SQLite nobody could write meanwhile.
    for part in parts:
        if time.monotonic() > end:
            look.is_whole = False
            break
        seen = part if may_see is None else [row for row in part if may_see(row)]
        look.total -= len(part) - len(seen)
        _add(look, rule, seen, occasion, using)
        if watch is not None:
            watch(look)
    return look


def _add(look: Look, rule: CompiledRule, objects: Sequence[models.Model], occasion: Occasion, using: str) -> None:
    for answer in counted(rule, objects, occasion, using):
        look.looked_at += 1
        look.matched += answer.outcome == "matched"
        look.failed += answer.outcome == "error"
        look.detail = look.detail or answer.detail
        if answer.outcome == "matched" and len(look.first) < SHOWN:
            look.first.append(answer.instance)


def occasion_for(user: Any) -> Occasion:
    """Return what stands for a signal where that user asks for a run now."""
    return Occasion(RUN, timezone.now(), actor.Origin(user=user))


def tested_as_told(spec: RuleSpec, instance: models.Model, user: Any) -> Tested:
    """Test the rule on the object as a run would tell it. Raises ``Unreadable``."""
    compiled = compile_rule(spec, 0)
    rule = replace(as_told(compiled), signals=frozenset({RUN}))
    kept = {action.position for action in rule.actions}
    spec = replace(spec, actions=tuple(action for action in spec.actions if action.position in kept))
    occasion = occasion_for(user)
    with without_consequence(), actor.again(occasion.origin):
        return tested_on_subject(spec, rule, subject_of(instance, occasion), user, instance)


def left_out(spec: RuleSpec) -> list[str]:
    """Say what of the rule a run does not ask, or do: a sentence each."""
    said: list[str] = []
    if name_of(spec.schedule) not in ("", "often"):
        text = gettext(
            "Its time is not asked: a run acts at once on all that its condition selects, also on what is not due."
        )
        said.append(text)
    if spec.changes or spec.operations:
        said.append(gettext("What happened and which fields changed is not asked: a run takes objects as they are."))
    if spec.sample_percent < 100:
        said.append(gettext("Its sample is left out: a run takes all objects that its condition selects."))
    rule = compile_rule(spec, 0)
    read = {path[0] for path in rule.reads | rule.action_reads if path[0] in UNTOLD}
    if read:
        text = gettext("It reads %s, of which a run knows nothing: there it is empty.")
        said.append(text % ", ".join(sorted(read)))
    if early := [action for action in rule.actions if not acts_later(action)]:
        names = ", ".join(dict.fromkeys(registry.title(action.kind) for action in early))
        text = ngettext(
            "This is done in a save alone, and not by a run: %s.",
            "These are done in a save alone, and not by a run: %s.",
            len(early),
        )
        said.append(text % names)
    return said
