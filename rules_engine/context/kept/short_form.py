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
PLAIN_PARTS = ("instance", "changed", "created", "m2m", "signal")

#: Where a change's two values stand besides: by their name in ``changes``, the part.
ALSO_IN = {"old": "old", "new": "instance"}
SIDES = frozenset(ALSO_IN)

#: Where a value stands in the context, and of those below it the pointers, each with its type's name.
_Marks = dict[tuple[str, ...], list[tuple[str, str]]]
#: Of most contexts: nobody adds to it.
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
    surroundings: str = ""


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
    marks = _marks([*decimals, *cut]) if decimals or cut else _UNMARKED
    left: Mapping[str, Any] | None = context["changes"]
    if context["changed"] is not None:
        left = _left_of_changes(context, marks, repeated)
        if left is None:
            return kept
    old = _left_of_old(context["old"], context["instance"], marks, repeated)
    if repeated and (decimals or cut):
        decimals, cut = _left_out(decimals, repeated), _left_out(cut, repeated)
    short: dict[str, Any] = {"event": [header["pk"], cut] if cut else [header["pk"]]}
    for name in PLAIN_PARTS:
        if context[name] is not None:
            short[name] = context[name]
    if old is not None:
        short["old"] = old
    if left or (left is not None and context["changed"] is None):
        short["changes"] = left
    if context["actor"] is not None or context["request"] is not None:
        short |= _short_origin(context["actor"], context["request"], columns)
    return Kept(short, decimals)


def _short_origin(actor: Any, request: Any, columns: Columns) -> dict[str, Any]:
    told = {"actor": _short_actor(actor, columns), "request": _short_request(request, columns)}
    return {name: part for name, part in told.items() if part is not None}


def restore(kept: Kept, columns: Columns) -> Kept:
    """Return what was shortened, as it was; the context itself where it is in no short form."""
    short = kept.context
    header = short.get("event")
    if not isinstance(header, list):
        return kept
    pk, cut = header[0], list(header[1]) if len(header) > 1 else []
    pointers = _Pointers(list(kept.decimals), cut)
    context: dict[str, Any] = {**dict.fromkeys(PARTS), **short}
    if isinstance(context["old"], list):
        left, without = context["old"]
        context["old"] = _all_of_old(left, without, context["instance"], pointers)
    if context["changed"] is not None:
        context["changes"] = _all_changes(context, pointers)
    context["event"] = _header(columns, pk)
    if cut:
        context["event"]["cut"] = cut
    if context["actor"] is not None and not isinstance(context["actor"], dict):
        context["actor"] = {"id": context["actor"], "username": columns.actor_name}
    if context["request"] is not None:
        context["request"] = {"id": columns.request_id, **context["request"]}
    return Kept(context, pointers.decimals)


class _Pointers:
    """The pointers of a context that is restored."""

    def __init__(self, decimals: list[str], cut: list[str]) -> None:
        self.decimals, self.cut = decimals, cut
        self._marks = _marks([*decimals, *cut]) if decimals or cut else _UNMARKED

    def copy(self, value: Any, source: tuple[str, ...], place: tuple[str, ...]) -> Any:
        """Return the value, which stands at ``source``, for another place, and point to the same in it there."""
        if self._marks and (marks := self._marks.get(source)):
            self._marks[place] = marks
            at = "/".join(place)
            for kind, below in marks:
                (self.cut if kind else self.decimals).append(f"{kind}/{at}{below}")
        return copy.deepcopy(value) if isinstance(value, dict | list) else value


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
    if not {str}.issuperset(map(type, names)) or changes.keys() != set(names):
        return None
    left = {}
    for name in names:
        change = changes[name]
        if type(change) is not dict or change.keys() != SIDES:
            return None
        told = {}
        for side, part in ALSO_IN.items():
            value, values = change[side], context[part]
            # As a rule it is the very same, which is seen without a call.
            is_same = type(values) is dict and name in values and values[name] is value
            if not is_same and not _stands_in(values, name, value):
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


def _left_of_old(old: Any, instance: Any, marks: _Marks, repeated: set[str]) -> Any:
    """Return what the object does not say of its old values, with the names of what it has and they have not. All of
    them, where it says little."""
    if not isinstance(old, dict) or not isinstance(instance, dict) or 2 * len(old) <= len(instance):
        return old
    same = {name for name, value in old.items() if _stands_in(instance, name, value)}
    if marks:
        same = {name for name in same if marks.get(("old", name)) == marks.get(("instance", name))}
    if 2 * len(same) <= len(instance):
        return old
    repeated.update(f"/old/{name}" for name in same)
    left = {name: value for name, value in old.items() if name not in same}
    return [left, [name for name in instance if name not in old]]


def _all_of_old(left: dict[str, Any], without: list[str], instance: dict[str, Any], pointers: _Pointers) -> Any:
    for name in instance.keys() - left.keys() - set(without):
        left[name] = pointers.copy(instance[name], ("instance", name), ("old", name))
    return left


def _all_changes(context: Mapping[str, Any], pointers: _Pointers) -> dict[str, Any]:
    """Return all changes, those values taken from elsewhere that stand there."""
    left, changes = context["changes"] or {}, {}
    for name in context["changed"]:
        change = left.get(name, {})
        changes[name] = {
            side: change[side]
            if side in change
            else pointers.copy((context[part] or {}).get(name), (part, name), ("changes", name, side))
            for side, part in ALSO_IN.items()
        }
    return changes


def _marks(pointers: Iterable[str]) -> _Marks:
    """Return the pointers by the value that each is of or in: of a change one of its sides, else of a field."""
    marks: _Marks = {}
    for pointer in pointers:
        kind, part, *steps = pointer.split("/")
        length = 2 if part == "changes" else 1
        below = "".join(f"/{step}" for step in steps[length:])
        marks.setdefault((part, *steps[:length]), []).append((kind, below))
    return marks


def _left_out(pointers: Iterable[str], repeated: set[str]) -> list[str]:
    return [pointer for pointer in pointers if _place(pointer) not in repeated]


def _place(pointer: str) -> str:
    """Return the place of the value that a pointer is of or in."""
    _kind, part, *steps = pointer.split("/")
    return "/".join(("", part, *steps[: 2 if part == "changes" else 1]))
