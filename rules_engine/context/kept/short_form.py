"""An event's context as its row keeps it: what columns or other parts of it say stands there once.

Of an ordinary event that is half of its bytes. What was shortened is restored to the letter, or else it is not
shortened. A context in its short form has a list as its ``event``: the object's key, and where there are any the
pointers of what was cut off. A release that does not know the form fails on that list, where it would else act on an
event that lacks a part.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

#: All that an event keeps. What is null of it is left out of the short form.
PARTS = ("event", "instance", "old", "changed", "changes", "created", "actor", "request", "m2m", "signal")

#: Where a change's two values stand besides: by their name in ``changes``, the part.
ALSO_IN = {"old": "old", "new": "instance"}

#: Where a value stands in the context, and of those below it the pointers, each with its type's name.
_Marks = Mapping[tuple[str, ...], Sequence[tuple[str, str]]]
_UNMARKED: _Marks = {}


class Columns(NamedTuple):
    """What an event's columns say, as they hold it."""

    id: UUID
    signal: str
    operation: str
    model: str
    occurred_at: datetime
    root_id: UUID
    depth: int
    actor_name: str
    request_id: str


class Kept(NamedTuple):
    """A context without a ``Decimal``, and the pointers of the strings in it that are one."""

    context: Mapping[str, Any]
    decimals: Sequence[str]


def shorten(kept: Kept, columns: Columns) -> Kept:
    """Return the context without what the columns, or other parts, say; as it is where that would lose something."""
    context = kept.context
    header = context["event"] if context.keys() == set(PARTS) else None
    if not isinstance(header, dict) or not _is_said(header, columns):
        return kept
    cut = header.get("cut", [])
    marks = _marks([*kept.decimals, *cut]) if kept.decimals or cut else _UNMARKED
    short = {name: part for name, part in context.items() if part is not None}
    repeated: set[str] = set()
    if short.get("changed") is not None:
        left = _left_of_changes(context, marks, repeated)
        if left is None:
            return kept
        del short["changes"]
        if left:
            short["changes"] = left
    short["actor"] = _short_actor(context["actor"], columns)
    short["request"] = _short_request(context["request"], columns)
    decimals = [pointer for pointer in kept.decimals if _place(pointer) not in repeated] if repeated else kept.decimals
    cut = [pointer for pointer in cut if _place(pointer) not in repeated]
    short["event"] = [header["pk"], cut] if cut else [header["pk"]]
    return Kept({name: part for name, part in short.items() if part is not None}, decimals)


def restore(kept: Kept, columns: Columns) -> Kept:
    """Return what was shortened, as it was; the context itself where it is in no short form."""
    short = kept.context
    header = short.get("event")
    if not isinstance(header, list):
        return kept
    pk, cut = header[0], list(header[1]) if len(header) > 1 else []
    decimals = list(kept.decimals)
    context: dict[str, Any] = {**dict.fromkeys(PARTS), **short}
    if context["changed"] is not None:
        marks = _marks([*decimals, *cut]) if decimals or cut else _UNMARKED
        context["changes"] = _all_changes(context, marks, decimals, cut)
    context["event"] = _header(columns, pk)
    if cut:
        context["event"]["cut"] = cut
    if context["actor"] is not None and not isinstance(context["actor"], dict):
        context["actor"] = {"id": context["actor"], "username": columns.actor_name}
    if context["request"] is not None:
        context["request"] = {"id": columns.request_id, **context["request"]}
    return Kept(context, decimals)


def _header(columns: Columns, pk: Any) -> dict[str, Any]:
    at = columns.occurred_at
    return {
        "id": str(columns.id),
        "signal": columns.signal,
        "operation": columns.operation or None,
        "model": columns.model,
        "pk": pk,
        # Some databases answer in a time zone of their own; an event tells its time in UTC.
        "occurred_at": (at if at.tzinfo is None else at.astimezone(UTC)).isoformat(),
        "root_id": str(columns.root_id),
        "depth": columns.depth,
    }


def _is_said(header: Mapping[str, Any], columns: Columns) -> bool:
    """Say whether the columns have all of the header but the key and what was cut."""
    return "pk" in header and {**header, "cut": None} == {**_header(columns, header["pk"]), "cut": None}


def _short_actor(actor: Any, columns: Columns) -> Any:
    """Return the actor's key, where the column has the name; all of the actor where not."""
    if not isinstance(actor, dict) or actor.keys() != {"id", "username"} or actor["username"] != columns.actor_name:
        return actor
    return actor if actor["id"] is None or isinstance(actor["id"], dict) else actor["id"]


def _short_request(request: Any, columns: Columns) -> Any:
    """Return the request without its id, where the column has it."""
    if not isinstance(request, dict) or request.get("id") != columns.request_id:
        return request
    return {name: value for name, value in request.items() if name != "id"}


def _left_of_changes(context: Mapping[str, Any], marks: _Marks, repeated: set[str]) -> dict[str, Any] | None:
    """Return of each change what neither the old values nor the object say; None where there are changes of other
    fields than those that are named as changed. Adds to ``repeated`` the places that are left out."""
    changes, names = context["changes"], context["changed"]
    if not isinstance(changes, dict) or not isinstance(names, list) or len(names) != len(changes):
        return None
    left = {}
    for name in names:
        change = changes.get(name) if isinstance(name, str) else None
        if not isinstance(change, dict) or change.keys() != ALSO_IN.keys():
            return None
        told = {side: value for side, value in change.items() if not _stands_in(context, name, side, marks)}
        repeated.update(f"/changes/{name}/{side}" for side in change.keys() - told.keys())
        if told:
            left[name] = told
    return left


def _stands_in(context: Mapping[str, Any], name: str, side: str, marks: _Marks) -> bool:
    """Say whether one side of a change stands in its part of the context too, of the same type to the last digit."""
    part, value = context[ALSO_IN[side]], context["changes"][name][side]
    if part is None:
        return value is None
    return (
        isinstance(part, dict)
        and name in part
        and _are_alike(part[name], value)
        and marks.get(("changes", name, side), ()) == marks.get((ALSO_IN[side], name), ())
    )


def _are_alike(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_are_alike(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_are_alike, one, other))
    return bool(one == other)


def _all_changes(context: Mapping[str, Any], marks: _Marks, decimals: list[str], cut: list[str]) -> dict[str, Any]:
    """Return all changes, and add the pointers of the values that are taken from elsewhere."""
    left, changes = context["changes"] or {}, {}
    for name in context["changed"]:
        change = dict(left.get(name, ()))
        for side, part in ALSO_IN.items():
            if side not in change:
                change[side] = copy.deepcopy((context[part] or {}).get(name))
                for kind, below in marks.get((part, name), ()):
                    (cut if kind else decimals).append(f"{kind}/changes/{name}/{side}{below}")
        changes[name] = {side: change[side] for side in ALSO_IN}
    return changes


def _marks(pointers: Iterable[str]) -> _Marks:
    """Return the pointers by the value that each is of or in: of a change one of its sides, else of a field."""
    marks: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for pointer in pointers:
        kind, part, *steps = pointer.split("/")
        length = 2 if part == "changes" else 1
        below = "".join(f"/{step}" for step in steps[length:])
        marks.setdefault((part, *steps[:length]), []).append((kind, below))
    return marks


def _place(pointer: str) -> str:
    """Return the place of the change's side that a pointer is of or in."""
    return "/" + "/".join(pointer.split("/")[1:4])
