"""Runs claimed executions: which of them may be carried out, part by part, until nothing is due."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from functools import lru_cache, partial
from itertools import groupby
from operator import attrgetter
from typing import Any

from django.db import DatabaseError, InterfaceError, router
from django.db.models import QuerySet

from rules_engine import conf
from rules_engine.context.actor import paused
from rules_engine.context.visible import objects_sent
from rules_engine.databases.prepared.queries import Mark, Prepared, prepare
from rules_engine.databases.uncached import reading_current
from rules_engine.errors import NotEntered
from rules_engine.live import cache
from rules_engine.models import Execution, Rule, RuleVersion
from rules_engine.models.execution import State
from rules_engine.rules import registry, running
from rules_engine.rules.permissions import Authors, match_reads
from rules_engine.surroundings.own_rules import holds_in
from rules_engine.surroundings.state import at_home, functions, within
from rules_engine.types import ActionSpec, Path, RuleSpec, Unread, ask
from rules_engine.work import attempts, claims, effects
from rules_engine.work.attempts import AttemptOutcome
from rules_engine.work.claims import Claim, LeaseKeeper
from rules_engine.work.parts import parts_of
from rules_engine.work.repeating import against_rivals
from rules_engine.work.schedules import asking_again
from rules_engine.work.workers import stopping

logger = logging.getLogger("rules_engine")

#: A worker that is behind, and ended a batch within so long, takes twice as many next, up to so many times BATCH_SIZE:
#: what a claim costs is shared by more, by a third less of the processor for each action (P8), and nobody who comes
#: meanwhile waits longer than that for what it has claimed.
QUICK_SECONDS = 0.5
LARGEST = 4
#: Rules of a claim that are asked for by a text that is made once for their number.
FEW_RULES = 10
#: What a change was surrounded by: where it is acted. Empty for all, where a site tells nothing.
PLACE = attrgetter("event.surroundings")
#: What is read to match, by a rule's slug and version.
Reads = Mapping[tuple[str, int], Collection[Path]]


def drain(*queues: str, seconds: float, limit: int | None = None) -> int:
    """Claim and run what is due in these queues until nothing is, or the time is up. Returns how many it ran.

    Oldest first; where more waits in a queue than one batch, its rules take turns.
    """
    end, total, is_behind, most = time.monotonic() + seconds, 0, False, conf.batch_size()
    while (began := time.monotonic()) < end and (limit is None or total < limit) and not stopping.asked.is_set():
        batch = most if limit is None else min(most, limit - total)
        if is_behind and len(queues) == 1:
            claiming = partial(claims.claim_in_turn, queues[0], batch)
        else:
            claiming = partial(claims.claim, *queues, limit=batch)
        with paused():  # the engine's own connecting is no event, or a rule on connection_created would never end
            claim = against_rivals(claiming)
        if not claim:
            break
        is_behind = len(claim.executions) == batch
        total += run_claim(claim, end)
        is_quick = is_behind and time.monotonic() - began < QUICK_SECONDS
        most = min(2 * most, LARGEST * conf.batch_size()) if is_quick else conf.batch_size()
    return total


def run_claim(claim: Claim, end: float = float("inf")) -> int:
    """Run a claim's executions in order; give back what is not begun by ``end`` (monotonic), or when the process is
    told to stop. Returns how many it ended or ran."""
    left = len(claim.executions)
    # Where no router is, all is read where it is written.
    current = reading_current(router.db_for_write(Execution)) if router.routers else nullcontext()
    with LeaseKeeper(claim.worker), current:
        try:
            permitted = may_run(claim)
            left = len(permitted)
            for surroundings, group in groupby(sorted(permitted, key=PLACE), PLACE):
                executions = list(group)
                try:
                    with (
                        within(surroundings) if surroundings else nullcontext(),
                        effects.sessions(executions) if len(executions) > 1 else nullcontext(),
                    ):
                        for part in parts_of(executions, conf.batch_size()) if len(executions) > 1 else [executions]:
                            if time.monotonic() >= end or stopping.asked.is_set():
                                break
                            effects.carry_out(part, claim.worker)
                            left -= len(part)
                except NotEntered as error:
                    left -= effects.fail(executions, claim.worker, error)
        finally:
            if left:
                against_rivals(partial(claims.give_back, claim.worker))
    return len(claim.executions) - left


def may_run(claim: Claim) -> list[Execution]:
    """Return those of a claim that may be carried out, with their actions, their authors and what these may see.

    The others end here: their rule is gone, their author may not, nobody knows their kind, or asking that failed.
    From here on this process works by rules at least as new as those that matched. Asked where the rules are.
    """
    with at_home() if functions() else nullcontext():
        return _permitted(claim)


def _permitted(claim: Claim) -> list[Execution]:
    _catch_up(claim.executions)
    live, reads = against_rivals(partial(_rules_of, claim.executions))
    verdicts: dict[Any, str | Exception | None] = {}
    permitted, asks_again = [], False
    authors: Authors | None = None
    for execution in claim.executions:
        place = live.get(execution.rule_slug)
        # Nearly all rules hold everywhere.
        if place is None or (place and not holds_in(place, execution.event.surroundings)):
            what = "was disabled or deleted" if place is None else "does not hold there any more"
            reason = f'The rule "{execution.rule_slug}" {what}.'
            against_rivals(partial(attempts.end, execution, claim.worker, State.CANCELLED, reason))
            continue
        refusal = None
        if execution.author_id:  # what has no author may do all: it is the operator's
            authors = authors or Authors()
            there, key = authors.of(place), _likeness(execution)
            if key not in verdicts:
                verdicts[key] = _refusal(execution, there, reads)
            refusal = verdicts[key]
            if refusal is None:
                execution.author = there.find(execution.author_id)
                execution.author_sees = there.viewing(execution.author_id)
        if isinstance(refusal, Exception):
            started = attempts.start([execution], claim.worker)
            attempts.record([AttemptOutcome(each, claim.worker, refusal) for each in started])
        elif refusal is not None:
            against_rivals(partial(attempts.end, execution, claim.worker, State.REFUSED, refusal))
        elif (action := registry.find(execution.kind)) is None:
            attempts.end(execution, claim.worker, State.DISCARDED, registry.unknown(execution.kind))
        else:
            execution.action = action
            execution.author_place = place
            asks_again = asks_again or bool(execution.given and execution.given.get("asks_again"))
            permitted.append(execution)
    if asks_again:
        return _whose_condition_holds(permitted, claim.worker)
    return permitted


def _whose_condition_holds(executions: Sequence[Execution], worker: str) -> list[Execution]:
    """Return those of which the condition still holds, where they ask again. The others end here; of those that could
    not be asked, that is an attempt which failed."""
    asked = [execution for execution in executions if asking_again.asks_again(execution)]
    answers = against_rivals(partial(asking_again.answers, asked))
    left = []
    for execution in executions:
        answer = answers.get(execution.pk)
        if answer is None:
            left.append(execution)
        elif isinstance(answer, str):
            against_rivals(partial(attempts.end, execution, worker, State.CANCELLED, answer))
        else:
            started = attempts.start([execution], worker)
            attempts.record([AttemptOutcome(each, worker, answer) for each in started])
    return left


def _likeness(execution: Execution) -> tuple[Any, ...]:
    """What is alike for each event of one kind, and worth asking once; what no rule asked for has a config of its
    own."""
    event = execution.event
    relation = event.context.get("m2m") or {}
    sent = objects_sent(event.context) if event.context.get("signal") else {}
    return (
        None if execution.rule_slug else execution.pk,
        *(execution.rule_slug, execution.rule_version, execution.position, execution.author_id, execution.kind),
        *(event.model, event.signal, relation.get("field")),
        *sorted(sent.items()),
    )


def _catch_up(executions: Iterable[Execution]) -> None:
    """Read the rules anew where one of these was matched by newer ones: what its action changes is tried on ours."""
    matched_by = [execution.event.rule_set for execution in executions if execution.event.rule_set is not None]
    if matched_by:
        cache.catch_up(max(matched_by))


def _refusal(execution: Execution, authors: Authors, reads: Reads) -> str | Exception | None:
    """Why its author may not do that, or not any more, as a sentence; the error of who could not be asked."""
    matched = reads.get((execution.rule_slug, execution.rule_version), ())
    with reading_current(router.db_for_write(Execution)):
        answer = ask(authors.refusal, execution.author_id, *_as_written(execution), matched)
    if not isinstance(answer, Unread):
        return answer
    if isinstance(answer.error, DatabaseError | InterfaceError):
        raise answer.error
    return answer.error


def _rules_of(executions: Collection[Execution]) -> tuple[Mapping[str, str], Reads]:
    """Which rules of these executions are there and enabled, with the surroundings that each holds in alone, and what
    they read to match."""
    reads = _reads_of(executions)
    return _live_rules(executions), reads


def _live_rules(executions: Iterable[Execution]) -> Mapping[str, str]:
    """Which rules of these executions are there and enabled, and where. An execution without a rule was ordered by
    hand."""
    slugs, using = {execution.rule_slug for execution in executions}, router.db_for_write(Rule)
    if 0 < len(slugs) <= FEW_RULES:
        return {"": "", **dict(_enabled(using, len(slugs)).ask(*slugs))}
    return {"": "", **dict(_enabled_among(slugs, using))}


@lru_cache(maxsize=32)
def _enabled(using: str, count: int) -> Prepared[Any]:
    marks = [Mark.of(Rule, "slug", number) for number in range(count)]
    return prepare(_enabled_among([mark.value for mark in marks], using), *marks)


def _enabled_among(slugs: Collection[str], using: str) -> QuerySet[Any, Any]:
    return Rule.objects.using(using).filter(slug__in=slugs, enabled=True).values_list("slug", "surroundings")


def _reads_of(executions: Iterable[Execution]) -> Reads:
    """What the rules of these executions read to match, in the versions that did; only of those that have an author,
    who must still be allowed to view it."""
    wanted = {(execution.rule_slug, execution.rule_version) for execution in executions if execution.author_id}
    if not wanted:
        return {}
    slugs, numbers = {slug for slug, _number in wanted}, {number for _slug, number in wanted}
    versions = RuleVersion.objects.filter(rule_slug__in=slugs, number__in=numbers)
    contents = {(version.rule_slug, version.number): version.content for version in versions}
    return {key: match_reads(_matching(contents[key])) for key in wanted & contents.keys()}


def _matching(content: Mapping[str, Any]) -> RuleSpec:
    """A version of a rule as far as it says when the rule acts."""
    return RuleSpec(
        slug="",
        model=content["model"],
        signals=(),
        condition=content.get("condition"),
        throttle_by=content.get("throttle_by") or "",
        coalesce_by=content.get("coalesce_by") or "",
        schedule=content.get("schedule"),
    )


def _as_written(execution: Execution) -> tuple[ActionSpec, RuleSpec]:
    """The action and the rule as far as the execution keeps them."""
    event = execution.event
    rule = running.rule_as_written(execution.rule_slug, model=event.model, signal=event.signal, context=event.context)
    for_each = (execution.given or {}).get("for_each")
    return ActionSpec(execution.kind, execution.config, execution.position, for_each=for_each), rule
