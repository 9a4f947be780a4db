"""What of an event's data somebody may see. An event holds what all rules read that matched; each of their authors,
and everybody who looks at it, sees of it no objects of models that they may not view."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.contrib.auth import get_user_model

from rules_engine.context.aggregates import BETWEEN
from rules_engine.context.paths import ModelClass, aggregate_of, find_model, label_of, steps
from rules_engine.context.plain_data import PLAIN_TYPES
from rules_engine.context.signals import find_signal
from rules_engine.context.snapshot import Tree, tree_of
from rules_engine.errors import UnknownPath
from rules_engine.types import Path

#: What an object that a signal sent is told by to everybody.
NAMING = frozenset({"model", "pk"})

MayView = Callable[[ModelClass], bool]


def visible(context: Mapping[str, Any], label: str, may_view: MayView) -> tuple[Mapping[str, Any], list[str]]:
    """Return the context without objects of models that may not be viewed, and the names of what was left out.

    ``label`` is the event's own model: whether that one may be viewed is asked elsewhere.
    """
    model = find_model(label) if label else None
    hidden: list[str] = []
    seen = dict(context)
    if isinstance(seen.get("signal"), Mapping):
        seen["signal"] = _arguments(context, may_view, hidden)
    if model is None:
        return (seen, hidden) if hidden else (context, [])
    if isinstance(seen.get("instance"), Mapping):
        seen["instance"] = _object(seen["instance"], model, may_view, "instance", hidden)
    if isinstance(seen.get("rows"), list):
        seen["rows"] = _below(seen["rows"], model, may_view, "rows", hidden)
    m2m = seen.get("m2m")
    if isinstance(m2m, Mapping) and "objects" in m2m:
        seen["m2m"] = _ends(m2m, model, may_view, hidden)
    return (seen, hidden) if hidden else (context, [])


def objects_sent(context: Mapping[str, Any]) -> dict[str, str]:
    """Return which of the arguments that a signal sent are objects, or quote what came of one, by name, and the labels
    of their models."""
    sent = context.get("signal")
    if not isinstance(sent, Mapping):
        return {}
    about = sent.get("model")
    quoting = quoted(context).keys() & sent.keys() if isinstance(about, str) else frozenset[str]()
    # What came of a change that is of no model may tell of users, who log in.
    quoted_models = dict.fromkeys(sorted(quoting), about or label_of(get_user_model()))
    return quoted_models | {name: value["model"] for name, value in sent.items() if _is_object_sent(value)}


def quoted(context: Mapping[str, Any]) -> Mapping[str, str]:
    """Return which arguments of the event's signal quote records, and the labels of the models of these."""
    event = context.get("event")
    name = event.get("signal") if isinstance(event, Mapping) else None
    signal = find_signal(name) if isinstance(name, str) else None
    return {} if signal is None else signal.quotes


def _is_object_sent(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("model"), str) and "pk" in value


def _arguments(context: Mapping[str, Any], may_view: MayView, hidden: list[str]) -> dict[str, Any]:
    """Return what a signal sent, without quotes of what may not be viewed, and with objects that may not by their model
    and key alone."""
    sent, quotes = context["signal"], quoted(context)
    seen = dict(sent)
    for name, label in [*quotes.items(), *objects_sent(context).items()]:
        model = find_model(label)
        if name not in seen or model is None or may_view(model):
            continue
        if name in quotes:
            hidden.append(f"signal.{name}")
            del seen[name]
        elif (value := sent[name]).keys() > NAMING:
            hidden += [f"signal.{name}.{key}" for key in value if key not in NAMING]
            seen[name] = {key: value[key] for key in value if key in NAMING}
    return seen


def _object(value: Mapping[str, Any], model: ModelClass, may_view: MayView, at: str, hidden: list[str]) -> Any:
    seen: dict[str, Any] = {}
    for name, inner in value.items():
        other = _leads_to(model, name, inner)
        if other is not None and not may_view(other):
            hidden.append(f"{at}.{name}")
        else:
            seen[name] = inner if other is None else _below(inner, other, may_view, f"{at}.{name}", hidden)
    return seen


def _below(value: Any, model: ModelClass, may_view: MayView, at: str, hidden: list[str]) -> Any:
    if isinstance(value, list):
        hidden_in_rows: list[str] = []
        rows = [_below(row, model, may_view, at, hidden_in_rows) for row in value]
        hidden.extend(dict.fromkeys(hidden_in_rows))
        return rows
    return _object(value, model, may_view, at, hidden) if isinstance(value, Mapping) else value


def _leads_to(model: ModelClass, name: str, value: Any) -> ModelClass | None:
    """Return the model that a value is of, where it is not the model's own."""
    step = steps(model).get(name)
    if step is not None:
        return step.model if isinstance(value, Mapping | list) else None
    if BETWEEN not in name:
        return None
    try:
        aggregate = aggregate_of(model, name)
    except UnknownPath:
        return None
    return aggregate.model


def _ends(m2m: Mapping[str, Any], model: ModelClass, may_view: MayView, hidden: list[str]) -> dict[str, Any]:
    step = steps(model).get(str(m2m.get("field")))
    seen = dict(m2m)
    if step is None or step.model is None or not may_view(step.model):
        del seen["objects"]
        hidden.append("m2m.objects")
    else:
        seen["objects"] = _below(m2m["objects"], step.model, may_view, "m2m.objects", hidden)
    return seen


def read_by(reads: Iterable[Path], context: Mapping[str, Any], label: str) -> Mapping[str, Any]:
    """Return the context with just those related objects that one rule reads, as if it had been alone."""
    model = find_model(label) if label else None
    if model is None:
        return context
    tree = tree_of(frozenset(reads))
    own = dict(context)
    if isinstance(own.get("instance"), Mapping):
        own["instance"] = _named(own["instance"], model, tree.get("instance", {}))
    if isinstance(own.get("rows"), list):
        own["rows"] = _named(own["rows"], model, tree.get("rows", {}))
    if isinstance(own.get("m2m"), Mapping):
        own["m2m"] = _named_ends(own["m2m"], model, tree.get("m2m", {}))
    return own


def _named_ends(m2m: Mapping[str, Any], model: ModelClass, tree: Tree) -> Mapping[str, Any]:
    step = steps(model).get(str(m2m.get("field")))
    if "objects" in tree and step is not None and step.model is not None:
        return {**m2m, "objects": _named(m2m.get("objects"), step.model, tree["objects"])}
    return {name: value for name, value in m2m.items() if name != "objects"}


def _may_lead(model: ModelClass, name: str) -> bool:
    step = steps(model).get(name)
    return BETWEEN in name or (step is not None and step.model is not None)


def _named(value: Any, model: ModelClass, tree: Tree) -> Any:
    if isinstance(value, list):
        # Rows are read alike: where the first leads to no other object none does, and thousands are not copied.
        if value and isinstance(value[0], Mapping) and not any(_may_lead(model, name) for name in value[0]):
            return value
        return [_named(row, model, tree) for row in value]
    if not isinstance(value, Mapping):
        return value
    named = {}
    for name, inner in value.items():
        # Most are columns, of thousands of rows while a save waits: nothing is asked of those.
        is_column = type(inner) in PLAIN_TYPES and BETWEEN not in name
        other = None if is_column else _leads_to(model, name, inner)
        if other is None:
            named[name] = inner
        elif name in tree:
            below = tree[name]
            named[name] = _named(
                inner, other, {**below, **next((below[index] for index in below if index.isdigit()), {})}
            )
    return named
