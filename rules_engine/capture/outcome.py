"""Which rules match a subject, and which cannot be asked."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID

from django.utils import timezone

from rules_engine import conf
from rules_engine.capture.by_clock.marking import marked
from rules_engine.context.subject import Subject
from rules_engine.errors import ConditionError, RulesEngineError, not_read, said_by
from rules_engine.logic import jsonlogic
from rules_engine.logs import outcomes
from rules_engine.models.tallies import counting
from rules_engine.rules import matching
from rules_engine.rules.gates import DRAW_BITS
from rules_engine.rules.matching import CompiledRule, Contexts
from rules_engine.troubles import failures
from rules_engine.types import Evaluation, MatchSubject, Unread, ask

logger = logging.getLogger("rules_engine")

#: A rule that cannot be tried at all says so once a minute and process, not with two rows and a line at each save; one
#: that fails for an object is told a few times, so that it is seen for which, and then by a number.
TROUBLE_SECONDS = 60.0
TOLD_ONE_BY_ONE = 10


@dataclass(slots=True)
class _Told:
    """Since when a rule's errors are told, how many were since, and how many were not."""

    since: datetime
    count: int = 0
    untold: int = 0


_told: dict[tuple[str, int], _Told] = {}
#: A rule, and what it said.
Pair = tuple[CompiledRule, Evaluation]
_ARMS = attrgetter("arms")


class Outcome(NamedTuple):
    """What came of trying rules on a subject, where there is something to tell."""

    subject: Subject
    matched: Sequence[CompiledRule]
    #: Those of the rules tried that are there to record every event of a model.
    recorders: Sequence[CompiledRule]
    #: One for each rule that was tried, without recorders; of few rules also for those that were ruled out before.
    evaluations: Sequence[Evaluation]


def match(subject: Subject, rules: Sequence[CompiledRule]) -> Outcome | None:
    """Try the rules on the subject. None where nothing matched and nothing new failed: as nearly always."""
    asked = match_subject(subject)
    pairs = evaluate(subject, rules, asked)
    if any(map(_ARMS, rules)):
        pairs = marked(subject, pairs)
    if conf.metrics() is not None:
        _count(rules, pairs)
    return _outcome(subject, asked, rules, pairs) if pairs else None


def _outcome(
    subject: Subject, asked: MatchSubject, rules: Sequence[CompiledRule], pairs: Sequence[Pair]
) -> Outcome | None:
    """Return what is told of these answers, with what is new of errors; None where that is nothing."""
    evaluations, is_news = list[Evaluation](), False
    matched, recorders = list[CompiledRule](), list[CompiledRule]()
    for rule, evaluation in pairs:
        if evaluation.outcome == "error":
            evaluation = _noted(rule, evaluation, subject)
            is_news = is_news or not evaluation.is_known
        elif evaluation.outcome == "matched":
            is_news = True
            if rule.slug:
                matched.append(rule)
        if not rule.slug:
            recorders.append(rule)
        evaluations.append(evaluation)
    if not is_news:
        return None
    told = evaluations
    if len(subject.heard) > len(rules):
        told = _with_unheard(subject, asked, rules, pairs, evaluations)
    if recorders:
        told = [evaluation for evaluation in told if evaluation.rule_slug]
    return Outcome(subject, matched, recorders, told)


def _count(rules: Sequence[CompiledRule], pairs: Sequence[Pair]) -> None:
    """Count for monitors what the rules said: nothing is told where all say no."""
    if pairs:
        counting.add_evaluations((rule.slug, said.outcome) for rule, said in pairs if rule.slug)
    else:
        counting.add_evaluations((rule.slug, "not_matched") for rule in rules if rule.slug)


def _with_unheard(
    subject: Subject,
    asked: MatchSubject,
    rules: Sequence[CompiledRule],
    pairs: Sequence[Pair],
    evaluations: Sequence[Evaluation],
) -> list[Evaluation]:
    """Return the evaluations with those of the rules that were heard of and not tried, each in its place.

    A constant ruled those out: what stops them is the same that would have stopped them. Where there are many of them,
    ``heard`` is empty, and nothing is said of them.
    """
    is_tried = {id(rule) for rule in rules}
    said = {id(rule): evaluation for (rule, _), evaluation in zip(pairs, evaluations, strict=True)}
    told = list[Evaluation]()
    for rule in subject.heard:
        if rule.arms is not None:
            continue
        if id(rule) not in is_tried:
            told += [matching.ruled_out(rule, asked)] if matching.tried([rule], asked) else []
        elif id(rule) in said:
            told.append(said[id(rule)])
            if told[-1].outcome == "matched" and matching.ends(rule):
                break
    return told


def _log(evaluation: Evaluation, unread: Unread | None, event_id: UUID) -> None:
    # One of our own errors says all there is to say.
    is_foreign = unread is not None and not isinstance(unread.error, RulesEngineError)
    cause = unread.error if unread is not None and is_foreign else None
    outcomes.rule_failed(evaluation.rule_slug, event_id, evaluation.detail, cause)
    told = _told.get((evaluation.rule_slug, evaluation.rule_version))
    if told is not None and told.untold:
        logger.error(
            "Since that of the rule %s was last told, it failed %s times more.", evaluation.rule_slug, told.untold
        )
        told.untold = 0


def evaluate(subject: Subject, rules: Sequence[CompiledRule], asked: MatchSubject | None = None) -> Sequence[Pair]:
    """Return what each of the rules says that are tried, up to one that stops the others; empty if all say no."""
    if asked is None:
        asked = match_subject(subject)
    if subject.unread is not None:
        return _unread(subject.unread, matching.tried(rules, asked))
    try:
        return _tried(subject, asked, rules)
    except Exception as error:  # noqa: BLE001 - whose fault it is shows where each rule is tried by itself
        return _unread(Unread(error), rules) if len(rules) == 1 else _tried_apart(subject, asked, rules)


def _tried(subject: Subject, asked: MatchSubject, rules: Sequence[CompiledRule]) -> Sequence[Pair]:
    rules = matching.tried(rules, asked)
    if not rules:
        return ()
    early, left = matching.early_stops(rules, asked)
    evaluations = matching.match(rules, early, _contexts(subject, left) if left else Contexts())
    if failures.watched:
        _count_answers(left, evaluations)
    return list(zip(rules, evaluations, strict=False))


def _count_answers(asked: Sequence[CompiledRule], evaluations: Sequence[Evaluation]) -> None:
    """Count that these rules could be asked, all but those that failed: their conditions said yes or no."""
    failed = {evaluation.rule_slug for evaluation in evaluations if evaluation.outcome == "error"}
    for rule in asked:
        if rule.slug not in failed and not rule.is_paused:
            failures.note_success(rule.slug, rule.version)


def _tried_apart(subject: Subject, asked: MatchSubject, rules: Sequence[CompiledRule]) -> Sequence[Pair]:
    """Try each rule by itself, up to one that stops the others; without those that say no."""
    pairs: list[Pair] = []
    for rule in rules:
        tried = ask(_tried, subject, asked, [rule])
        pairs += _unread(tried, [rule]) if isinstance(tried, Unread) else tried
        if pairs and pairs[-1][0] is rule and pairs[-1][1].outcome == "matched" and matching.ends(rule):
            break
    return pairs


def _unread(unread: Unread, rules: Sequence[CompiledRule]) -> Sequence[Pair]:
    return [(rule, matching.failed(rule, said_by(unread.error))) for rule in rules]


def match_subject(subject: Subject) -> MatchSubject:
    """Return the subject as rules are matched against it, with what chance says of it."""
    cause = subject.origin.cause
    return MatchSubject(
        signal=subject.signal,
        operation=subject.operation,
        changes=subject.changes,
        now=subject.occurred_at or timezone.now(),
        caused_by=None if cause is None else cause.rule_slug,
        is_loading=subject.origin.is_loading,
        draw=random.getrandbits(DRAW_BITS),
    )


def _contexts(subject: Subject, rules: Sequence[CompiledRule]) -> Contexts:
    """Read what the conditions of these rules are given, together as far as that goes.

    A rule that looks at objects as wholes is not to see what the others read of them; and where what one rule reads
    cannot be read, the others are to be tried.
    """
    shared = _context(subject, rules)
    if len(rules) == 1:
        return Contexts(shared)
    is_unread = isinstance(shared, ConditionError)
    return Contexts(shared, {rule.slug: _context(subject, [rule]) for rule in rules if is_unread or rule.reads_whole})


def _context(
    subject: Subject, rules: Sequence[CompiledRule]
) -> jsonlogic.DataHandle | jsonlogic.Partial | ConditionError:
    """Read the context as the conditions of these rules take it. Returns the error where that fails."""
    context = subject.read(rules[0].reads if len(rules) == 1 else {path for rule in rules for path in rule.reads})
    if isinstance(context, Unread):
        if len(rules) == 1:
            logger.error("What the rule %s reads could not be read.", rules[0].slug, exc_info=context.error)
        return ConditionError(not_read(context.error))
    try:
        return jsonlogic.data_handle(context)
    except ConditionError as error:
        return error


def forget_troubles() -> None:
    """Tell of each rule that cannot be tried once more: with a new rule set it is another rule."""
    _told.clear()


def _noted(rule: CompiledRule, evaluation: Evaluation, subject: Subject) -> Evaluation:
    """Count the error, log it where it is news, and return it: marked as known where the rule failed just now so often
    that it is told by a number."""
    if not rule.is_paused:
        failures.note(rule.slug, rule.version, evaluation.detail)
    is_told_seldom = bool(rule.fault) or subject.unread is not None or rule.is_paused
    now = subject.occurred_at
    is_known = now is not None and _is_known(evaluation, now, 1 if is_told_seldom else TOLD_ONE_BY_ONE)
    if is_known:
        return evaluation._replace(is_known=True)
    _log(evaluation, subject.unread, subject.id)
    return evaluation


def _is_known(evaluation: Evaluation, now: datetime, most: int) -> bool:
    """Say whether errors of the rule were told a moment ago, as many as are; otherwise it is told now."""
    key = evaluation.rule_slug, evaluation.rule_version
    told = _told.get(key)
    # Either way: a clock that was set back must not silence the rule for an hour.
    if told is None or abs(now - told.since) >= timedelta(seconds=TROUBLE_SECONDS):
        told = _told[key] = _Told(now, untold=0 if told is None else told.untold)
    told.count += 1
    if told.count <= most:
        return False
    told.untold += 1
    return True
