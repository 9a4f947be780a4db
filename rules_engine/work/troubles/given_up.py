"""What is done where executions end for good without their work: they count against their rules, and are told."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from django.db import DatabaseError, InterfaceError, router, transaction
from django.urls import NoReverseMatch, reverse

from rules_engine import conf
from rules_engine.live.breakers import adding
from rules_engine.models import Event, Execution
from rules_engine.models.execution import State
from rules_engine.troubles import failures, telling
from rules_engine.troubles.signals import execution_given_up, is_trouble

#: Cancelled is not among them: somebody wanted that, or what it waited for was given up itself.
GIVEN_UP = frozenset({State.DISCARDED, State.REFUSED})


def is_told() -> bool:
    """Say whether such an end is told as a signal: it is to be recorded together with what rules make of it."""
    return telling.is_heard(execution_given_up)


def note(executions: Sequence[Execution]) -> None:
    """Tell of those executions that were given up, in the transaction that records it, and count all once it is
    committed."""
    given_up = [execution for execution in executions if execution.state in GIVEN_UP]
    if not given_up and not failures.watched:
        return
    using = router.db_for_write(Execution)
    transaction.on_commit(partial(_count, executions, bool(given_up)), using=using, robust=True)
    if given_up and telling.is_heard(execution_given_up):
        for execution in _not_about_trouble(given_up, using):
            telling.tell(execution_given_up, using, **_facts(execution))


def _count(executions: Sequence[Execution], is_any_given_up: bool) -> None:
    for execution in executions:
        if execution.state == State.SUCCEEDED:
            failures.note_success(execution.rule_slug, execution.rule_version, part="actions")
        elif execution.state in GIVEN_UP:
            failures.note(execution.rule_slug, execution.rule_version, execution.error, part="actions")
    if is_any_given_up:
        # Where the database does not answer now, at the next look.
        with suppress(DatabaseError, InterfaceError):
            adding.add_up()


def _not_about_trouble(executions: Sequence[Execution], using: str) -> list[Execution]:
    """Leave out what began with a signal of trouble, however many rules lie between: that must not lead to another."""
    roots = {execution.event.root_id for execution in executions}
    signals = dict(Event.objects.using(using).filter(pk__in=roots).values_list("pk", "signal"))
    return [
        execution
        for execution in executions
        if not is_trouble(execution.event.signal) and not is_trouble(signals.get(execution.event.root_id, ""))
    ]


def _facts(execution: Execution) -> dict[str, Any]:
    event = execution.event
    return {
        "rule": execution.rule_slug,
        "kind": execution.kind,
        "state": str(execution.state),
        "error": execution.error,
        "attempts": execution.attempts,
        "execution": str(execution.pk),
        "event": str(event.pk),
        "model": event.model,
        "pk": event.object_pk,
        "url": _address_of(execution),
    }


def _address_of(execution: Execution) -> str:
    try:
        path = reverse("admin:rules_engine_execution_change", args=[execution.pk])
    except NoReverseMatch:
        return ""
    return conf.site_url() + path if conf.site_url() else ""
