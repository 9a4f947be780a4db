"""Signals that are not Django's save, delete and relation: the site's own, requests, logins, migrations.

A rule that names a model hears such a signal where its argument ``instance`` is an object of that model, and reads it
as it would a saved one. All other rules are told the arguments alone; theirs is an event of its own, without a model.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from datetime import datetime
from typing import Any

from django.contrib.auth import signals as auth
from django.core import signals as core
from django.db import DEFAULT_DB_ALIAS, connections, models
from django.http import HttpRequest

from rules_engine.capture.earlier.old_values import StoredRow
from rules_engine.capture.watches import Reading, columns_read
from rules_engine.context import actor, requests, snapshot
from rules_engine.context.arguments import arguments
from rules_engine.context.paths import ModelClass, find_model
from rules_engine.context.signals import INSTANCE, find_signal
from rules_engine.context.subject import Subject
from rules_engine.context.visible import objects_sent, quoted
from rules_engine.errors import Refused
from rules_engine.live.authors import trusted
from rules_engine.rules.matching import CompiledRule
from rules_engine.surroundings.state import here, within
from rules_engine.types import Path, Unread, ask, new_id

Rules = Sequence[CompiledRule]

#: Sent when Django has closed the request's connections, or in a thread that has none.
PAST_CONNECTIONS = (core.request_finished, core.got_request_exception)
LOGINS = (auth.user_logged_in, auth.user_logged_out)


def is_in_event_loop() -> bool:
    """Say whether ``send()`` was called by async code itself, where Django forbids to use the database."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return not os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")


def sent_to(
    told: Mapping[str, Rules], signal: Any, sender: Any, sent: Mapping[str, Any], now: datetime
) -> Iterator[Reading]:
    """Read what a signal has sent, once for each of its names and each kind of rule on it."""
    for name, rules in told.items():
        without, of_models = [rule for rule in rules if not rule.model], [rule for rule in rules if rule.model]
        instance: Any = sent.get(_object_argument(name))
        about, unread = _about(of_models, instance)
        shown = _shown(signal, sender, sent, [*without, *about])
        for why, rule in _refused(name, shown, [*without, *about]):
            yield Subject(name, arguments=shown, occurred_at=now, unread=Unread(why)), [rule]
            without, about = [one for one in without if one is not rule], [one for one in about if one is not rule]
        if without:
            yield Subject(name, arguments=shown, occurred_at=now), without
        if unread is not None:
            yield Subject(name, arguments=shown, occurred_at=now, unread=unread), about
        elif about:
            yield _of_instance(name, instance, shown, about, now), about


def _refused(name: str, shown: Mapping[str, Any], rules: Rules) -> Iterator[tuple[Refused, CompiledRule]]:
    """Yield the rules that match by more of an object than which it is, or by what quotes records, and whose authors
    may not view these: whether they match is not to tell them. Only now is it known of which model the object is."""
    models_sent = _models_sent({"event": {"signal": name}, "signal": shown})
    event_id = new_id()
    for rule in rules if models_sent else ():
        if rule.author_id is None or not (read := _looked_at(rule, models_sent)):
            continue
        wanted = {f"{model._meta.app_label}.view_{model._meta.model_name}" for model in read}
        if (why := trusted.lacks(str(rule.author_id), event_id, wanted, rule.surroundings)) is not None:
            yield Refused(why), rule


def _models_sent(context: Mapping[str, Any]) -> dict[str, set[ModelClass]]:
    """Return the models of what each argument of the signal is, or quotes."""
    found: dict[str, set[ModelClass]] = {}
    for name, label in (*objects_sent(context).items(), *quoted(context).items()):
        if (model := find_model(label)) is not None:
            found.setdefault(name, set()).add(model)
    return found


def _looked_at(rule: CompiledRule, models_sent: Mapping[str, set[ModelClass]]) -> set[ModelClass]:
    """Return the models of which the rule reads more than keys to find out whether it matches."""
    paths = [path[1:] for path in rule.match_reads if path[:1] == ("signal",)]
    if () in paths:
        return set().union(*models_sent.values())
    return set().union(*(models_sent.get(path[0], ()) for path in paths if path[1:2] not in (("model",), ("pk",))))


def _shown(signal: Any, sender: Any, sent: Mapping[str, Any], rules: Rules) -> Mapping[str, Any]:
    return arguments(signal, sender, sent, _reads(rules)) if rules else {}


def _reads(rules: Rules) -> Iterable[Path]:
    return (path for rule in rules for path in (*rule.reads, *rule.action_reads))


def _object_argument(name: str) -> str:
    """Return the argument by which a signal sends the object that it is about."""
    named = find_signal(name)
    return INSTANCE if named is None else named.instance


def _about(rules: Rules, instance: Any) -> tuple[Rules, Unread | None]:
    """Return the rules whose model the object is of; all, where it cannot be looked at, with what it raises."""
    is_object = ask(isinstance, instance, models.Model) if rules else False
    if isinstance(is_object, Unread):
        return rules, is_object
    if not is_object:
        return [], None
    of_models = [(rule, find_model(rule.model)) for rule in rules]
    return [rule for rule, model in of_models if model is not None and isinstance(instance, model)], None


def _of_instance(name: str, instance: models.Model, shown: Mapping[str, Any], rules: Rules, now: datetime) -> Subject:
    model = type(instance)
    settled: Mapping[str, Any] = {}
    missing = snapshot.missing_columns(instance, columns_read(model, rules), None, None)
    if missing and instance.pk is not None:
        settled = StoredRow(model, missing).read(instance.pk, instance._state.db or DEFAULT_DB_ALIAS) or {}
    return Subject(name, instance=instance, arguments=shown, knows_changes=False, occurred_at=now, settled=settled)


@contextmanager
def origin_of(signal: Any, sent: Mapping[str, Any], using: str) -> Iterator[None]:
    """Learn the request and who acts from the signal itself, where the middleware says nothing."""
    with ExitStack() as stack:
        if signal in PAST_CONNECTIONS:
            stack.enter_context(_own_connection(using))
        if signal is core.request_started and (told := requests.describe_start(sent)) is not None:
            stack.enter_context(actor.during(None, told))
        elif signal is core.request_finished and (visit := requests.finished()) is not None:
            stack.enter_context(actor.during(visit.request, visit.told))
        elif issubclass(type(request := sent.get("request")), HttpRequest) and actor.origin().told is None:
            stack.enter_context(actor.in_request(request))
        if signal in LOGINS and _nobody_acts() and sent.get("user") is not None:
            stack.enter_context(actor.acting_as(sent["user"]))
        yield


def _nobody_acts() -> bool:
    # One that cannot be read is somebody; the event says that it could not be.
    return ask(actor.origin().actor) is None


@contextmanager
def _own_connection(using: str) -> Iterator[None]:
    """Close a connection that is opened inside: nobody else will. Opening it is no event either."""
    connection = connections[using]
    was_open = connection.connection is not None
    try:
        with actor.paused():
            yield
    finally:
        if not was_open and not connection.in_atomic_block:
            connection.close()


def carry_out(telling: Callable[[], None], signal: Any, sent: Mapping[str, Any], alias: str) -> None:
    """Tell the rules of a signal that is none of a model's, in a thread where the database may be used."""
    if not is_in_event_loop():
        with origin_of(signal, sent, alias):
            telling()
        return

    def tell_within(surroundings: str) -> None:
        with within(surroundings), origin_of(signal, sent, alias):
            telling()

    with ThreadPoolExecutor(1, "rules-engine-signal") as thread:
        # The thread connects anew, and the event belongs where the signal was sent.
        told = thread.submit(copy_context().run, tell_within, here())
        thread.submit(connections.close_all)
        told.result()
