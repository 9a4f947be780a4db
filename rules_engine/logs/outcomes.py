"""One line an outcome, by the logger ``rules_engine.outcomes``: what it is stands in the text, and as fields of the
record that a formatter of JSON, or whatever reads the log, finds by name. Nothing is said of what is undone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from django.db import transaction
from django.db.transaction import TransactionManagementError

from rules_engine.errors import PutOff, RulesEngineError
from rules_engine.logs.one_line import keep_to_one_line
from rules_engine.tracing import spans
from rules_engine.tracing.kept import trace_id_of

logger = keep_to_one_line(logging.getLogger("rules_engine.outcomes"))

#: The level of each outcome of an execution: what goes as it should, what is tried again, what needs somebody.
LEVELS = {
    "succeeded": logging.INFO,
    "put_off": logging.INFO,
    "retryable": logging.WARNING,
    "cancelled": logging.WARNING,
    "refused": logging.WARNING,
    "discarded": logging.ERROR,
}
#: What the text says of each.
WORDS = {
    "succeeded": "succeeded",
    "put_off": "was put off",
    "retryable": "failed and is tried again",
    "cancelled": "was cancelled",
    "refused": "was refused",
    "discarded": "failed and was given up",
}


def after_commit(tell: Callable[[], None], using: str) -> None:
    """Tell what was written, once nothing can undo it: at once where no transaction goes on."""
    try:
        transaction.on_commit(tell, using=using, robust=True)
    except TransactionManagementError:  # the caller manages it by hand (set_autocommit(False))
        tell()


def is_told(outcome: str) -> bool:
    """Say whether the site's log takes such a line."""
    return logger.isEnabledFor(LEVELS[outcome])


def execution_ended(execution: Any, outcome: str, *, attempt: int, error: Any = None) -> None:
    """Tell what an attempt came to, or that an execution ended without one (attempt 0). ``error`` is what it failed
    of: an exception, of which one that is not ours brings its traceback, or a sentence."""
    if not is_told(outcome):
        return
    trace_id, execution_id, event_id = _trace_id(execution), str(execution.id), str(execution.event_id)
    ids = {
        "outcome": str(outcome),
        "event_id": event_id,
        "execution_id": execution_id,
        "rule": execution.rule_slug,
        "kind": execution.kind,
        "queue": execution.queue,
        "attempt": attempt,
        "trace_id": trace_id,
    }
    is_foreign = isinstance(error, BaseException) and not isinstance(error, RulesEngineError)
    place = [execution_id, event_id, _trace(trace_id)]
    text, values = "%s %s", list[Any]((str(execution), WORDS[outcome]))
    if attempt:
        text, values = f"{text} at attempt %d", [*values, attempt]
    if error is not None:
        text, values = f"{text}: %s", [*values, error]
    text, values = f"{text} (execution %s, event %s%s)", [*values, *place]
    logger.log(LEVELS[outcome], text, *values, exc_info=error if is_foreign else None, extra=ids)


def _trace_id(execution: Any) -> str:
    """Give the id of the trace that an attempt is a part of; nearly always there is none, and nothing is asked."""
    place = execution.event.trace
    if not place and execution.attempt_span is not None:
        place = spans.traceparent_of(execution.attempt_span)
    return trace_id_of(place) if place else ""


def attempts_ended(ended: Sequence[tuple[Any, Any]], using: str) -> None:
    """Tell, once it is committed, what an attempt of each execution came to: its result, or what it failed of."""
    after_commit(partial(_tell_ends, ended), using)


def _tell_ends(ended: Sequence[tuple[Any, Any]]) -> None:
    for execution, result in ended:
        error = result if isinstance(result, Exception) else None
        outcome = "put_off" if isinstance(error, PutOff) else execution.state
        execution_ended(execution, outcome, attempt=execution.attempts, error=error)


def events_matched(matched: Sequence[tuple[Any, Sequence[str], int, int]], using: str) -> None:
    """Tell, once it is committed, of recorded events: which rules matched each, how many executions that came to, and
    how many held matches."""
    after_commit(partial(_tell_matches, matched), using)


def _tell_matches(matched: Sequence[tuple[Any, Sequence[str], int, int]]) -> None:
    for event, rules, executions, held in matched:
        if not rules:
            continue
        event_id, trace_id = str(event.id), trace_id_of(event.trace) if event.trace else ""
        about = f"{event.signal} of {event.model}" if event.model else event.signal
        logger.info(
            "%s matched %s: %d to be carried out, %d held (event %s%s)",
            *(about, ", ".join(rules), executions, held, event_id, _trace(trace_id)),
            extra={"outcome": "matched", "event_id": event_id, "rules": list(rules), "trace_id": trace_id},
        )


def rule_failed(rule: str, event_id: Any, detail: str, error: BaseException | None) -> None:
    """Tell that a rule could not be evaluated, and why; ``error`` brings its traceback."""
    trace_id = spans.current_trace_id()
    logger.error(
        "The rule %s could not be evaluated: %s (event %s%s)",
        *(rule, detail, event_id, _trace(trace_id)),
        exc_info=error,
        extra={"outcome": "rule_error", "event_id": str(event_id), "rule": rule, "trace_id": trace_id},
    )


def failed_at_once(execution_id: Any, rule: str, kind: str, error: BaseException) -> None:
    """Tell that an action in the process of the change failed, and that the change goes on."""
    trace_id = spans.current_trace_id()
    logger.error(
        "%s of the rule %s failed; the change goes on (execution %s%s)",
        *(kind, rule, execution_id, _trace(trace_id)),
        exc_info=error,
        extra={
            "outcome": "failed_at_once",
            "execution_id": str(execution_id),
            "rule": rule,
            "kind": kind,
            "trace_id": trace_id,
        },
    )


def match_released(match: Any, stands_for: int, trace: str | None) -> None:
    """Tell that a held match acts now, and for how many it stands."""
    trace_id = trace_id_of(trace)
    logger.info(
        "A held match of %s was released, for %d (held match %s, event %s%s)",
        *(match.rule_slug, stands_for, match.pk, match.event_id, _trace(trace_id)),
        extra={
            "outcome": "released",
            "event_id": str(match.event_id),
            "held_match_id": str(match.pk),
            "rule": match.rule_slug,
            "trace_id": trace_id,
        },
    )


def _trace(trace_id: str) -> str:
    return f", trace {trace_id}" if trace_id else ""
