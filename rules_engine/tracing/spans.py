"""Spans by OpenTelemetry's interface, named by its conventions for messaging; none where that is not installed.

An event is what is created, its executions are what is received and processed. What an event keeps is the place at
which its trace goes on, so that an attempt is a part of it in whatever process, however late and however often. No
attribute has a value of a site's rows.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache, lru_cache
from types import TracebackType
from typing import Any, Protocol

from django.core.signals import setting_changed

from rules_engine import conf
from rules_engine.setting_values import SETTING
from rules_engine.tracing.kept import kept, taken_apart, trace_id_of

try:
    from opentelemetry import trace
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError:
    trace = None

SYSTEM = "rules_engine"
#: What one span may tell of: as many links as OpenTelemetry keeps of a span, and so many rules.
MOST_LINKS, MOST_RULES = 128, 20

#: One of OpenTelemetry's, or None where no spans are made.
Span = Any


class Traced(Protocol):
    """What spans tell of an execution, and what it keeps of them."""

    id: Any
    event_id: Any
    event: Any
    kind: Any
    queue: Any
    rule_slug: Any
    attempts: Any
    claim_span: Span
    attempt_span: Span


@cache
def is_on() -> bool:
    """Say whether spans are made: where ``opentelemetry-api`` is installed, unless the setting TRACES says no.

    The answer is kept, as settings are: it is asked at each step of each save and each attempt.
    """
    return trace is not None and conf.traces()


def _ask_anew(*, setting: str, **_sent: Any) -> None:
    if setting == SETTING:
        is_on.cache_clear()


setting_changed.connect(_ask_anew, dispatch_uid="rules_engine.tracing")


def is_heard(after: str | None = None) -> bool:
    """Say whether a span comes to anything: the site has said where spans go, or there is a trace to hand on, ``after``
    what a row has kept or that which goes on just now. All others cost a save a twentieth, and are nothing."""
    if not is_on():
        return False
    return bool(after) or _has_provider() or trace.get_current_span().get_span_context().is_valid


#: Seconds for which it is not asked again whether the site has said by now where spans go: asking takes microseconds.
ASKED_AGAIN = 1.0
#: Whether it has, which nothing takes back, and when that was last asked.
_provider_known, _asked_at = False, -ASKED_AGAIN


def _has_provider() -> bool:
    global _provider_known, _asked_at
    if not _provider_known and (now := time.monotonic()) - _asked_at >= ASKED_AGAIN:
        _provider_known = not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
        _asked_at = now
    return _provider_known


def look_anew() -> None:
    """Ask anew where spans go, at once: for tests."""
    global _provider_known, _asked_at
    _provider_known, _asked_at = False, -ASKED_AGAIN


@lru_cache(maxsize=4)
def _tracer_of(provider: Any) -> Any:
    return provider.get_tracer("rules_engine")


def _tracer() -> Any:
    return _tracer_of(trace.get_tracer_provider())


# -- What is kept, and said to others ----------------------------------------------------------------------------------


def traceparent_of(span: Span) -> str:
    """Give the span as a header says it; empty for none, and for one that belongs to no trace."""
    known = None if span is None else span.get_span_context()
    if known is None or not known.is_valid:
        return ""
    return f"00-{known.trace_id:032x}-{known.span_id:016x}-{known.trace_flags & 0xFF:02x}"


def current_traceparent() -> str:
    """Give what goes on just now, as a header says it; empty where that is no part of a trace."""
    return traceparent_of(trace.get_current_span()) if is_on() else ""


def current_trace_id() -> str:
    """Give the id of the trace that goes on just now; empty where there is none."""
    return trace_id_of(current_traceparent())


def kept_of(span: Span) -> str | None:
    """Give what a row keeps of the span; None for none, and for one that belongs to no trace."""
    parent = traceparent_of(span)
    if not parent:
        return None
    return kept(parent, [f"{key}={value}" for key, value in span.get_span_context().trace_state.items()])


def _going_on(text: str | None) -> Any:
    """Return the place in a trace that a row keeps, as a parent; None where it keeps none: then it is what goes on."""
    parent, state = taken_apart(text)
    if not parent:
        return None
    return TraceContextTextMapPropagator().extract({"traceparent": parent, "tracestate": state}, Context())


def _place(text: str | None) -> Any:
    context = _going_on(text)
    return trace.INVALID_SPAN_CONTEXT if context is None else trace.get_current_span(context).get_span_context()


# -- The spans ---------------------------------------------------------------------------------------------------------


def begin_event(
    event_id: Any, *, signal: str, model: str, rules: Sequence[str], queues: Collection[str], after: str | None = None
) -> Span:
    """Begin the span of an event that is about to be recorded; None where no spans are made.

    ``after`` is what a row has kept of the place it comes from; None: it comes of what goes on just now.
    """
    if not is_heard(after):
        return None
    queue = ",".join(sorted(queues))
    attributes = {
        **_messaging("create", queue),
        "messaging.message.id": str(event_id),
        "rules_engine.event.id": str(event_id),
        "rules_engine.event.signal": signal,
        "rules_engine.event.model": model,
        "rules_engine.rules": list(rules[:MOST_RULES]),
    }
    name = f"create {queue}".rstrip()
    return _tracer().start_span(name, context=_going_on(after), kind=trace.SpanKind.PRODUCER, attributes=attributes)


def end(span: Span, error: BaseException | None = None) -> None:
    """End a span. Of an error it says the type alone: the words may quote a row."""
    if span is None:
        return
    if error is not None:
        _failed(span, type(error).__qualname__)
    span.end()


class Ending:
    """Ends these spans when the ``with`` block is left, with its error."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._spans = spans

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for span in self._spans:
            end(span, error)


def _failed(span: Span, error_type: str) -> None:
    span.set_attribute("error.type", error_type)
    span.set_status(trace.Status(trace.StatusCode.ERROR))


def now() -> int:
    """Return the time at which a claim begins, for ``claimed``; 0 where no spans are made."""
    return time.time_ns() if is_on() and _has_provider() else 0


def claimed(executions: Sequence[Traced], began: int) -> None:
    """Tell of a claim that has leased something, with a link to each event that something of it belongs to."""
    if not began or not executions:
        return
    kept_places = dict.fromkeys(execution.event.trace for execution in executions if execution.event.trace)
    links = [trace.Link(_place(text)) for text in list(kept_places)[:MOST_LINKS]]
    queue = ",".join(sorted({execution.queue for execution in executions}))
    attributes = {**_messaging("receive", queue), "messaging.batch.message_count": len(executions)}
    span = _tracer().start_span(
        f"receive {queue}", kind=trace.SpanKind.CLIENT, attributes=attributes, links=links, start_time=began
    )
    span.end()
    for execution in executions:
        execution.claim_span = span


def begin_attempts(executions: Sequence[Traced]) -> None:
    """Begin the span of an attempt of each: a part of the trace of its event, with a link to the claim."""
    if not is_on():
        return
    for execution in executions:
        # What was undone and is done again is one attempt.
        if execution.attempt_span is None and is_heard(execution.event.trace):
            execution.attempt_span = _begun(execution)


def _begun(execution: Traced) -> Span:
    claim = execution.claim_span
    attributes = {
        **_messaging("process", execution.queue),
        **_told(execution.event_id, execution.id, execution.rule_slug, execution.kind),
        "rules_engine.attempt": execution.attempts,
    }
    return _tracer().start_span(
        f"process {execution.queue}",
        context=_going_on(execution.event.trace),
        kind=trace.SpanKind.CONSUMER,
        attributes=attributes,
        links=[] if claim is None else [trace.Link(claim.get_span_context())],
    )


def within_attempt(execution: Traced, together: Sequence[Traced] = ()) -> AbstractContextManager[Any]:
    """Have what goes on in the block be a part of this attempt. Attempts that are made ``together`` with it link to
    it, and it to them."""
    span = execution.attempt_span
    if span is None:
        return nullcontext()
    for other in together[:MOST_LINKS]:
        if other.attempt_span not in (None, span):
            span.add_link(other.attempt_span.get_span_context())
            other.attempt_span.add_link(span.get_span_context())
    return current(span)


def current(span: Span) -> AbstractContextManager[Any]:
    """Have what goes on in the block be a part of this span; of nothing new where it is None."""
    if span is None:
        return nullcontext()
    block: AbstractContextManager[Any] = trace.use_span(span, record_exception=False, set_status_on_exception=False)
    return block


def end_attempt(execution: Traced, outcome: str, error_type: str = "") -> None:
    """End the span of an attempt; ``outcome`` is the state that the execution is in by now."""
    span, execution.attempt_span = execution.attempt_span, None
    if span is None:
        return
    span.set_attribute("rules_engine.outcome", outcome)
    if error_type:
        _failed(span, error_type)
    span.end()


def begin_action(event_id: Any, execution_id: Any, rule_slug: str, kind: str) -> Span:
    """Begin the span of an action in the process of the change itself; None where no spans are made."""
    if not is_heard():
        return None
    return _tracer().start_span(f"act {kind}", attributes=_told(event_id, execution_id, rule_slug, kind))


def _messaging(operation: str, queue: str) -> Mapping[str, Any]:
    return {
        "messaging.system": SYSTEM,
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": queue,
    }


def _told(event_id: Any, execution_id: Any, rule_slug: str, kind: str) -> Mapping[str, Any]:
    return {
        "messaging.message.id": str(execution_id),
        "rules_engine.event.id": str(event_id),
        "rules_engine.execution.id": str(execution_id),
        "rules_engine.rule": rule_slug,
        "rules_engine.kind": kind,
    }
