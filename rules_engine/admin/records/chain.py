"""The chain that an event belongs to: what set off what, as an indented tree of events and executions."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from django.db.models import QuerySet
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext

from rules_engine.admin.parts.rendering import link, page_url, text_block
from rules_engine.models import Event, Execution

#: Events that are shown of a chain; the rest is a number.
SHOWN = 200
#: Levels that are indented; those below stand under the last.
DEEPEST = 9

Steps = Mapping[uuid.UUID, Execution]
Children = Mapping[uuid.UUID | None, Sequence[Event]]


def chain_block(event: Event, sees: Callable[[str], bool]) -> SafeString:
    """The whole chain of the event, this one marked; a dash where it stands alone. Errors are shown of the models of
    which ``sees`` says so. Four queries, however long it is:
    one more for each level where the event is not among those shown."""
    chain = Event.objects.filter(root_id=event.root_id).order_by("depth", "id")
    shown = list(_light(chain)[: SHOWN + 1])
    if len(shown) < 2:
        return text_block("")
    left_out = chain.count() - SHOWN if len(shown) > SHOWN else 0
    shown = shown[:SHOWN]
    if all(other.pk != event.pk for other in shown):
        ancestors = set(_ancestors(event)) - {other.pk for other in shown}
        shown += _light(chain.filter(pk__in=ancestors))
        left_out -= len(ancestors)
    steps = Execution.objects.in_bulk([other.cause_id for other in shown if other.cause_id])
    seen = {label: sees(label) for label in {other.model for other in shown}}
    for other in shown:
        if not seen[other.model]:
            # An error may quote the object's data.
            other.evaluations = []
    tree = _tree(shown, steps, event)
    if left_out <= 0:
        return tree
    more = ngettext("and %(count)s more event", "and %(count)s more events", left_out) % {"count": left_out}
    return format_html("{}{}", tree, text_block(more))


def caused_by(execution: Execution) -> SafeString:
    """The events that the execution's action led to; the chain is on each one's page."""
    # By way of the chain, which has an index.
    rows = Event.objects.filter(root_id=execution.event.root_id, cause_id=execution.pk).order_by("id")
    events = list(_light(rows)[: SHOWN + 1])
    if not events:
        return text_block("")
    items = format_html_join(
        "", "<li>{}</li>", ((link(page_url("event", event.pk), event),) for event in events[:SHOWN])
    )
    more = format_html("<li>…</li>") if len(events) > SHOWN else ""
    return format_html('<ul class="rules-chain">{}{}</ul>', items, more)


def _light(events: QuerySet[Event]) -> QuerySet[Event]:
    """Without what makes the rows wide."""
    return events.defer("context", "decimals")


def _ancestors(event: Event) -> Iterator[uuid.UUID]:
    """The event and those before it, up to the first; a loop in the rows, which cannot be, would end as well."""
    pk: Any = event.pk
    cause = event.cause_id
    for _ in range(event.depth + 1):
        yield pk
        row = Execution.objects.filter(pk=cause).values_list("event_id", "event__cause_id").first() if cause else None
        if row is None:
            return
        pk, cause = row


def _tree(events: Sequence[Event], steps: Steps, here: Event) -> SafeString:
    children: dict[uuid.UUID | None, list[Event]] = defaultdict(list)
    known = {event.pk for event in events}
    for event in events:
        step = steps.get(event.cause_id) if event.cause_id else None
        # What came before may be pruned or erased by now: then it stands at the margin.
        children[step.event_id if step and step.event_id in known else None].append(event)
    return format_html('<ul class="rules-chain">{}</ul>', format_html_join("", "{}", _rows(children, steps, here)))


def _rows(children: Children, steps: Steps, here: Event) -> Iterator[tuple[SafeString]]:
    """Each execution with the events that it led to below it, in the order of a tree; no recursion, for a chain may
    be as long as its settings allow."""
    waiting = [(event, 0) for event in reversed(children.get(None, ()))]
    told: set[uuid.UUID] = set()
    while waiting:
        event, level = waiting.pop()
        step = steps.get(event.cause_id) if event.cause_id else None
        if step is not None and step.pk not in told:
            told.add(step.pk)
            yield (_row(max(level - 1, 0), _step(step)),)
        yield (_row(level, _event(event, here)),)
        waiting += [(below, level + 1) for below in reversed(children.get(event.pk, ()))]


def _row(level: int, content: SafeString) -> SafeString:
    shown = min(level, DEEPEST)
    return format_html('<li class="rules-level-{}" aria-level="{}">{}</li>', shown, level + 1, content)


def _event(event: Event, here: Event) -> SafeString:
    is_here = event.pk == here.pk
    text = format_html("<strong>{}</strong>", event) if is_here else link(page_url("event", event.pk), event)
    rows = event.evaluations if isinstance(event.evaluations, list) else []
    stops = [
        evaluation for evaluation in rows if isinstance(evaluation, Mapping) and evaluation.get("outcome") == "error"
    ]
    said = dict.fromkeys(str(evaluation.get("detail") or "") for evaluation in stops)
    marks = format_html_join("", ' <span class="rules-stop">{}</span>', ((detail,) for detail in said))
    return format_html("{}{}", text, marks)


def _step(execution: Execution) -> SafeString:
    rule = execution.rule_slug or gettext("ordered by hand")
    words = f"{rule}: {execution.kind} ({execution.get_state_display()})"
    return format_html('<span class="rules-step">{}</span>', link(page_url("execution", execution.pk), words))
