"""Samples of events that tests keep: an event's context as JSON, and the event that a rule is tried on again."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext

from rules_engine.context import snapshot
from rules_engine.context.subject import PARTS
from rules_engine.errors import RulesEngineError
from rules_engine.types import Event, RuleSpec, RuleTestSpec

#: What says, in the header of a sample, which of its texts are decimals and what of it is cut off. No rule reads it.
DECIMALS, CUT = "decimals", "cut"
#: Of the header a sample keeps what the test does not say by itself.
_IN_HEADER = ("id", "pk")
#: Names a sample without an id: the same in each run, so that a text with ``event.id`` is, too.
_NAMESPACE = uuid.UUID("6f5b6a0e-5b1c-4f4e-9a52-0d1f6c1f7c11")


class MisshapenSample(RulesEngineError):
    """A sample's header is no header."""


def sample_of(context: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event's context as a test keeps it: JSON, without what is null."""
    decimals: list[str] = []
    cut: list[str] = []
    told = context.get("event") or {}
    header = {name: snapshot.plain(told[name]) for name in _IN_HEADER if name in told}
    context = snapshot.plain({**context, "event": None}, found=decimals, cut=cut)
    if decimals:
        header[DECIMALS] = decimals
    if cut:
        header[CUT] = cut
    sample = {name: value for name, value in context.items() if value is not None and name != "held"}
    return {"event": header, **sample}


def event_of(rule: RuleSpec, test: RuleTestSpec) -> Event:
    """Return the event of a sample; what the sample leaves out is null. It happens when the test says.

    Raises ``MisshapenSample`` for a header that is none.
    """
    sample = copy.deepcopy(dict(test.context))
    header = sample.pop("event", None) or {}
    if not isinstance(header, dict):
        raise MisshapenSample(gettext('"event" is an object, or left out.'))
    header = dict(header)
    context: dict[str, Any] = {**dict.fromkeys(PARTS), **sample}
    try:
        pointers = [*header.pop(CUT, ()), *header.pop(DECIMALS, ())]
        context = snapshot.restore(context, pointers)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        message = gettext('"event" names, as cut off or as decimals, what is not there or no such thing.')
        raise MisshapenSample(message) from error
    if context["changes"] is not None and context["changed"] is None:
        context["changed"] = list(context["changes"])
    operation: Any = test.operation or None
    if context["created"] is None and operation in ("create", "update"):
        context["created"] = operation == "create"
    event_id = _id_of(rule, test, header)
    pk = header.get("pk", _key_in(context))
    context["event"] = {
        "id": str(event_id),
        "signal": test.signal,
        "operation": operation,
        "model": rule.model,
        "pk": pk,
        "occurred_at": test.occurred_at.isoformat(),
        "root_id": str(event_id),
        "depth": 0,
        **{name: value for name, value in header.items() if name not in _IN_HEADER},
    }
    return Event(event_id, test.signal, operation, rule.model, pk, test.occurred_at, event_id, 0, context)


def _key_in(context: Mapping[str, Any]) -> Any:
    instance = context.get("instance")
    return instance.get("pk") if isinstance(instance, Mapping) else None


def _id_of(rule: RuleSpec, test: RuleTestSpec, header: Mapping[str, Any]) -> uuid.UUID:
    try:
        return uuid.UUID(str(header["id"]))
    except (KeyError, ValueError):
        return uuid.uuid5(_NAMESPACE, f"{rule.slug}/{test.name}")
