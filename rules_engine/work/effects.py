"""Effects: the actions of claimed executions carried out, by themselves or several together, and put on record.

Where the effect is outside, the attempt is committed first, so that no crash can hide it. Where the effect is in our
own database alone, it commits together with its record, so that it happens exactly once: the attempt's own write is
spared then, unless the execution is suspect, for a crash must leave its trace.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

from django.db import router, transaction

from rules_engine.context.actor import Cause, as_consequence
from rules_engine.errors import LeaseLost
from rules_engine.models import Execution
from rules_engine.rules import running
from rules_engine.rules.contract import Action, does_many
from rules_engine.tracing import spans
from rules_engine.types import ActionResult, Unread, ask
from rules_engine.work import attempts, claims
from rules_engine.work.attempts import AttemptOutcome
from rules_engine.work.repeating import PASSING, against_rivals

logger = logging.getLogger("rules_engine")

#: What each of some executions came to.
Results = Sequence[ActionResult | Exception]


def carry_out(executions: Sequence[Execution], worker: str) -> None:
    """Carry out executions of one kind and one author, several together where there are several, and record what came
    of each. What cannot be done together is done one by one."""
    action = executions[0].action
    ready = [execution for execution in executions if not _was_postponed(action, execution, worker)]
    if len(ready) < 2 or not _did_together(action, ready, worker):
        for execution in ready:
            _carry_out_one(action, execution, worker)


def fail(executions: Sequence[Execution], worker: str, error: Exception) -> int:
    """Charge an attempt of each, and record that it failed of this before anything was done. Returns how many."""
    started = against_rivals(partial(attempts.start, executions, worker))
    attempts.record([AttemptOutcome(execution, worker, error) for execution in started])
    return len(executions)


@contextmanager
def sessions(executions: Iterable[Execution]) -> Iterator[None]:
    """Keep open in the block what the kinds keep open of which there are several executions."""
    counts = Counter(execution.action for execution in executions)
    kinds = [action for action, count in counts.items() if count > 1 and type(action).session is not Action.session]
    opened = [] if not kinds else [session for action in kinds if (session := _opened(action)) is not None]
    try:
        yield
    finally:
        for session in opened:
            ended = ask(session.__exit__, None, None, None)
            if isinstance(ended, Unread):
                logger.error("What a worker kept open for actions of one kind was not closed.", exc_info=ended.error)


def _opened(action: Action) -> AbstractContextManager[object] | None:
    session = ask(_entered, action)
    if isinstance(session, Unread):
        logger.error('The action "%s" keeps nothing open.', action.kind, exc_info=session.error)
        return None
    return session


def _entered(action: Action) -> AbstractContextManager[object]:
    session = action.session()
    session.__enter__()
    return session


def _was_postponed(action: Action, execution: Execution, worker: str) -> bool:
    if (seconds := _rests_for(action, execution)) <= 0:
        return False
    against_rivals(partial(claims.postpone, execution, worker, seconds))
    return True


def _rests_for(action: Action, execution: Execution) -> float:
    if type(action).rests_for is Action.rests_for:
        return 0.0
    answer = ask(action.rests_for, execution.config)
    # Why it cannot be told is told by the attempt.
    return 0.0 if isinstance(answer, Unread) else answer


def _did_together(action: Action, executions: Sequence[Execution], worker: str) -> bool:
    """Carry them out together, as far as that goes; False where nothing was done or charged."""
    if action.crash_safe:
        done = ask(against_rivals, partial(_effects_with_records, action, executions, worker))
        if isinstance(done, Unread):
            # One of them may be to blame, and is not to take the others' attempts along.
            logger.info("%d of %s are carried out one by one: %s", len(executions), action.kind, done.message)
        return not isinstance(done, Unread)
    started = against_rivals(partial(attempts.start, executions, worker))
    results = ask(_effects, action, started) if started else ()
    if not isinstance(results, Unread):
        attempts.record([AttemptOutcome(*each) for each in _with_worker(started, worker, results)])
        return True
    logger.info("%d of %s are carried out one by one: %s", len(started), action.kind, results.message)
    for execution in started:
        _record_effect(action, execution, worker)
    return True


def _with_worker(
    executions: Sequence[Execution], worker: str, results: Results
) -> Iterator[tuple[Execution, str, ActionResult | Exception]]:
    for execution, result in zip(executions, results, strict=True):
        yield execution, worker, result


def _carry_out_one(action: Action, execution: Execution, worker: str) -> None:
    is_charged = not action.crash_safe or execution.may_have_crashed
    if is_charged and not against_rivals(partial(attempts.start, [execution], worker)):
        return
    if not action.crash_safe:
        _record_effect(action, execution, worker)
        return
    effect = partial(_effects_with_records, action, [execution], worker, is_charged=is_charged)
    done = ask(against_rivals, effect)
    if not isinstance(done, Unread):
        return
    if isinstance(done.error, LeaseLost):
        logger.warning("%s", done.error)
        return
    # What charged it was undone together with the effect.
    if is_charged or against_rivals(partial(attempts.start, [execution], worker)):
        attempts.record([AttemptOutcome(execution, worker, done.error)])


def _record_effect(action: Action, execution: Execution, worker: str) -> None:
    """Do what is charged, and record what came of it."""
    result: ActionResult | Exception
    try:
        result = _effect(action, execution)
    except Exception as error:  # noqa: BLE001 - an action may be a site's own: whatever it raises ends its attempt
        result = error
    attempts.record([AttemptOutcome(execution, worker, result)])


def _effects_with_records(
    action: Action, executions: Sequence[Execution], worker: str, *, is_charged: bool = False
) -> None:
    """Carry them out and record them in one transaction: whatever undoes one undoes both."""
    with attempts.as_recorded(executions), transaction.atomic(using=router.db_for_write(Execution)):
        if not is_charged:
            attempts.count(executions)
        if len(executions) == 1:
            results: Results = [_effect(action, executions[0])]
        else:
            results = _effects(action, executions)
        outcomes = [AttemptOutcome(*each) for each in _with_worker(executions, worker, results)]
        if len(attempts.finish(outcomes, is_charged=is_charged)) < len(outcomes):
            about = executions[0] if len(executions) == 1 else f"some of {len(executions)} executions"
            raise LeaseLost(f"The lease on {about} passed to another worker; what this one did is undone.")


def _effect(action: Action, execution: Execution) -> ActionResult:
    traced = nullcontext() if execution.attempt_span is None else spans.within_attempt(execution)
    with _as_consequence(execution), traced:
        return running.run(action, execution.context(), execution.config)


def _effect_or_error(action: Action, execution: Execution) -> ActionResult | Exception:
    """Carry out one of several in a transaction: what it raises undoes its own effect, and is its answer. Raises what
    the database says of the whole transaction."""
    answer = ask(_effect_in_savepoint, action, execution)
    if not isinstance(answer, Unread):
        return answer
    if isinstance(answer.error, PASSING):
        raise answer.error
    return answer.error


def _effect_in_savepoint(action: Action, execution: Execution) -> ActionResult:
    with transaction.atomic(using=router.db_for_write(Execution)):
        return _effect(action, execution)


def _effects(action: Action, executions: Sequence[Execution]) -> Results:
    if not does_many(action):
        return [_effect_or_error(action, execution) for execution in executions]
    # What they change, if they change what rules hear of, continues the longest of their chains: all of them end.
    deepest = max(executions, key=lambda execution: execution.event.depth)
    with spans.within_attempt(deepest, executions), _as_consequence(deepest):
        contexts = [execution.context() for execution in executions]
        return running.run_many(action, contexts, [execution.config for execution in executions])


def _as_consequence(execution: Execution) -> AbstractContextManager[None]:
    """What the action changes in the block continues the event's chain, in its author's name."""
    event = execution.event
    cause = Cause(event.root_id, event.depth, execution.rule_slug, execution.author_id or None, execution.pk)
    return as_consequence(cause, execution.author)
