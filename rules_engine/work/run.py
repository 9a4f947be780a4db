"""Runs claimed executions: the effect, the record of the attempt, and what becomes of it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from django.db import DatabaseError, InterfaceError, connections, router, transaction

from rules_engine import conf
from rules_engine.context.actor import Cause, acting_as, caused_by, paused
from rules_engine.errors import LeaseLost, PermanentError
from rules_engine.models import Execution, Rule, RuleVersion
from rules_engine.models.execution import State
from rules_engine.rules import registry, running
from rules_engine.rules.contract import Action
from rules_engine.rules.permissions import Authors, match_reads
from rules_engine.types import ActionResult, ActionSpec, Path, RuleSpec
from rules_engine.work import claims
from rules_engine.work.claims import Claim

logger = logging.getLogger("rules_engine")

#: What is read to match, by a rule's slug and version.
Reads = Mapping[tuple[str, int], Collection[Path]]


class LeaseKeeper:
    """Renews the leases of claims from a thread of its own, for as long as the ``with`` block runs.

    ``workers`` are the names of the claims; more may be added, and old ones taken away, meanwhile. The thread
    connects to the database only if the block outlasts a third of the lease.
    """

    def __init__(self, *workers: str) -> None:
        self.workers = set(workers)
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._keep, name="rules-engine-lease", daemon=True)

    def __enter__(self) -> LeaseKeeper:
        self.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.done.set()
        self.thread.join()

    def _keep(self) -> None:
        used = False
        while not self.done.wait(conf.lease_seconds() / 3):
            used = True
            try:
                with paused():  # as in drain: opening this thread's connection is no event
                    claims.renew(*self.workers.copy())
            except Exception:  # the execution boundary: a lease that is lost is noticed by the fence
                logger.exception("Leases could not be renewed.")
                connections[router.db_for_write(Execution)].close()
        if used:
            connections.close_all()


def drain(*queues: str, seconds: float, limit: int | None = None) -> int:
    """Claim and run what is due in these queues until nothing is, or the time is up. Returns how many it ran."""
    end, total = time.monotonic() + seconds, 0
    while time.monotonic() < end and (limit is None or total < limit):
        batch = conf.batch_size() if limit is None else min(conf.batch_size(), limit - total)
        with paused():  # the engine's own connecting is no event, or a rule on connection_created would never end
            claim = claims.claim(*queues, limit=batch)
        if not claim:
            break
        total += run_claim(claim, end)
    return total


def run_claim(claim: Claim, end: float = float("inf")) -> int:
    """Run a claim's executions in order; give back what is not begun by ``end`` (monotonic). Returns how many ran."""
    ran = 0
    with LeaseKeeper(claim.worker):
        try:
            authors = Authors()
            live, reads = live_rules(claim.executions), reads_of(claim.executions)
            for execution in claim.executions:
                if time.monotonic() >= end:
                    break
                ran += 1
                _run_one(execution, claim.worker, live, authors, reads)
        finally:
            claims.release(claim.worker)
    return ran


def live_rules(executions: Iterable[Execution]) -> frozenset[str]:
    """Which rules of these executions are there and enabled. An execution without a rule was ordered by hand."""
    slugs = {execution.rule_slug for execution in executions}
    return frozenset(Rule.objects.filter(slug__in=slugs, enabled=True).values_list("slug", flat=True)) | {""}


def reads_of(executions: Iterable[Execution]) -> Reads:
    """What the rules of these executions read to match, in the versions that did; only of those that have an author,
    who must still be allowed to view it."""
    wanted = {(one.rule_slug, one.rule_version) for one in executions if one.author_id}
    if not wanted:
        return {}
    slugs, numbers = {slug for slug, _number in wanted}, {number for _slug, number in wanted}
    found = RuleVersion.objects.filter(rule_slug__in=slugs, number__in=numbers)
    contents = {(one.rule_slug, one.number): one.content for one in found}
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
    )


def _run_one(execution: Execution, worker: str, live: frozenset[str], authors: Authors, reads: Reads) -> None:
    try:
        if execution.rule_slug not in live:
            reason = f'The rule "{execution.rule_slug}" was disabled or deleted.'
            claims.end_unstarted(execution, worker, State.CANCELLED, reason)
            return
        try:
            refusal = refusal_of(execution, authors, reads)
        except (DatabaseError, InterfaceError):
            raise
        except Exception as error:  # the execution boundary: the action's or an auth backend's own code
            if _started(execution, worker):
                _failed(execution, worker, error)
            return
        if refusal is not None:
            logger.warning("%s was refused: %s", execution, refusal)
            claims.end_unstarted(execution, worker, State.REFUSED, refusal)
            return
        execution.author_sees = authors.sight(execution.author_id)
        action = registry.find(execution.kind)
        if action is None:
            claims.end_unstarted(execution, worker, State.DISCARDED, registry.unknown(execution.kind))
        elif action.crash_safe:
            _run_with_record(execution, worker, action, authors)
        else:
            _run_then_record(execution, worker, action, authors)
    except LeaseLost as lost:
        logger.warning("%s", lost)


def refusal_of(execution: Execution, authors: Authors, reads: Reads) -> str | None:
    """Why its author may not do that, or not any more, as a sentence."""
    matched = reads.get((execution.rule_slug, execution.rule_version), ())
    return authors.refusal(execution.author_id, *_as_written(execution), matched)


def _as_written(execution: Execution) -> tuple[ActionSpec, RuleSpec]:
    """The action and the rule as far as the execution keeps them."""
    event = execution.event
    for_each = (execution.given or {}).get("for_each")
    action = ActionSpec(execution.kind, execution.config, execution.position, for_each=for_each)
    rule = running.rule_as_written(execution.rule_slug, model=event.model, signal=event.signal, context=event.context)
    return action, rule


def _run_then_record(execution: Execution, worker: str, action: Action, authors: Authors) -> None:
    """The effect is outside: the attempt is committed first, so that no crash can hide it."""
    if not _started(execution, worker):
        return
    try:
        result = _effect(execution, action, authors)
    except Exception as error:  # the execution boundary: an action may raise anything
        _failed(execution, worker, error)
    else:
        claims.succeed(execution, worker, result)


def _run_with_record(execution: Execution, worker: str, action: Action, authors: Authors) -> None:
    """The effect is in our own database: it commits together with its record, so it happens exactly once.

    The attempt's own write is spared, unless the execution is suspect: then a crash must leave its trace.
    """
    if execution.is_suspect and not _started(execution, worker):
        return
    before = (execution.state, execution.attempts, execution.crashes)
    try:
        with transaction.atomic(using=router.db_for_write(Execution)):
            if not execution.is_suspect:
                claims.start(execution, worker)
            claims.succeed(execution, worker, _effect(execution, action, authors))
    except LeaseLost:
        raise
    except Exception as error:  # the execution boundary: an action may raise anything
        execution.state, execution.attempts, execution.crashes = before
        if execution.is_suspect or _started(execution, worker):
            _failed(execution, worker, error)


def _started(execution: Execution, worker: str) -> bool:
    """Whether the attempt may begin; False when the execution has crashed too many processes, which is recorded."""
    try:
        claims.start(execution, worker)
    except PermanentError as error:
        logger.error("%s: %s", execution, error)
        return False
    return True


def _failed(execution: Execution, worker: str, error: Exception) -> None:
    logger.warning("%s failed at attempt %d: %s", execution, execution.attempts, error, exc_info=error)
    claims.fail(execution, worker, error)


def _effect(execution: Execution, action: Action, authors: Authors) -> ActionResult:
    with _as_consequence(execution, authors):
        return running.run(action, execution.context(), execution.config)


@contextmanager
def _as_consequence(execution: Execution, authors: Authors) -> Iterator[None]:
    """What the action changes continues the event's chain, in its author's name."""
    event = execution.event
    cause = Cause(event.root_id, event.depth, execution.rule_slug, execution.author_id or None, execution.pk)
    author = authors.find(execution.author_id) if execution.author_id else None
    with caused_by(cause), acting_as(author):
        yield
