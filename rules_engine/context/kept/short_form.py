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
ALL_PARTS = frozenset(PARTS)
#: Those that are kept as they are.
PLAIN_PARTS = ("instance", "old", "changed", "created", "m2m", "signal")

#: Where a change's two values stand besides: by their name in ``changes``, the part.
ALSO_IN = {"old": "old", "new": "instance"}
SIDES = frozenset(ALSO_IN)

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
    """Return the context without what the columns, or other parts, say; as it is where that would lose something.

    Some 10 µs for an update, of which a save that is on record has a thousand; a third of that is less to write.
    """
    context, decimals = kept
    header = context["event"] if context.keys() == ALL_PARTS else None
    if not isinstance(header, dict) or not _is_said(header, columns):
        return kept
    cut = header.get("cut", ())
    repeated: set[str] = set()
    left: Mapping[str, Any] | None = context["changes"]
    if context["changed"] is not None:
        marks = _marks([*decimals, *cut]) if decimals or cut else _UNMARKED
        left = _left_of_changes(context, marks, repeated)
        if left is None:
            return kept
    if repeated and (decimals or cut):
        decimals = [pointer for pointer in decimals if _place(pointer) not in repeated]
        cut = [pointer for pointer in cut if _place(pointer) not in repeated]
    short: dict[str, Any] = {"event": [header["pk"], cut] if cut else [header["pk"]]}
    for name in PLAIN_PARTS:
        if context[name] is not None:
            short[name] = context[name]
    if left or (context["changed"] is None and left is not None):
        short["changes"] = left
    if context["actor"] is not None:
        short["actor"] = _short_actor(context["actor"], columns)
    if context["request"] is not None:
        short["request"] = _short_request(context["request"], columns)
    return Kept(short, decimals)


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
    return {
        "id": str(columns.id),
        "signal": columns.signal,
        "operation": columns.operation or None,
        "model": columns.model,
        "pk": pk,
        "occurred_at": _told_time(columns.occurred_at),
        "root_id": str(columns.root_id),
        "depth": columns.depth,
    }


def _told_time(at: datetime) -> str:
    # Some databases answer in a time zone of their own; an event tells its time in UTC.
    return (at if at.tzinfo is None or at.tzinfo is UTC else at.astimezone(UTC)).isoformat()


def _is_said(header: Mapping[str, Any], columns: Columns) -> bool:
    """Say whether ``_header`` makes it of the columns, but for what was cut."""
    own = str(columns.id)
    return (
        len(header) == (9 if "cut" in header else 8)
        and "pk" in header
        and header.get("id") == own
        and header.get("root_id") == (own if columns.root_id is columns.id else str(columns.root_id))
        and header.get("signal") == columns.signal
        and header.get("operation", "") == (columns.operation or None)
        and header.get("model") == columns.model
        and header.get("depth") == columns.depth
        and header.get("occurred_at") == _told_time(columns.occurred_at)
    )


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
    parts = [(side, part, context[part]) for side, part in ALSO_IN.items()]
    left = {}
    for name in names:
        change = changes.get(name) if type(name) is str else None
        if type(change) is not dict or change.keys() != SIDES:
            return None
        told = {}
        for side, part, values in parts:
            value = change[side]
            if not _stands_in(values, name, value):
                told[side] = value
            elif not marks:
                continue
            elif marks.get(("changes", name, side), ()) == marks.get((part, name), ()):
                repeated.add(f"/changes/{name}/{side}")
            else:
                told[side] = value
        if told:
            left[name] = told
    return left


def _stands_in(values: Any, name: str, value: Any) -> bool:
    """Say whether the value stands among these too, of the same type; where there are none, null does."""
    if values is None:
        return value is None
    return isinstance(values, dict) and name in values and _are_alike(values[name], value)


def _are_alike(one: Any, other: Any) -> bool:
    if one is other:
        return True
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
