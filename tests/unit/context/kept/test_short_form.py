"""An event's context in its short form: what columns or other parts say is said once, and restored to the letter."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules_engine.context.kept.short_form import PARTS, Columns, Kept, restore, shorten
from rules_engine.context.plain_data import plain
from rules_engine.outbox.rows import event_row
from rules_engine.types import CutList, CutText, Evaluation, Event, Operation

AT = datetime(2026, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
ID = UUID(int=1)
COLUMNS = Columns(ID, "post_save", "update", "zoo.animal", AT, ID, 0, "ada", "r1")
NOTHING: dict[str, Any] = dict.fromkeys(PARTS)
TOTAL = Decimal("12.50")


def header(pk: Any = 5, **other: Any) -> dict[str, Any]:
    return {
        "id": str(ID),
        "signal": "post_save",
        "operation": "update",
        "model": "zoo.animal",
        "pk": pk,
        "occurred_at": AT.isoformat(),
        "root_id": str(ID),
        "depth": 0,
        **other,
    }


def event(operation: Operation | None = "update", **context: Any) -> Event:
    whole = {**NOTHING, "event": header(operation=operation), **context}
    return Event(ID, "post_save", operation, "zoo.animal", 5, AT, ID, 0, whole)


def stored(context: dict[str, Any]) -> Kept:
    """What is written of a context, as a database gives it back: with its keys in another order."""
    decimals: list[str] = []
    cut: list[str] = []
    told = plain({**NOTHING, "event": header(), **context}, found=decimals, cut=cut)
    if cut:
        told["event"]["cut"] = cut
    return Kept(told, decimals)


def through_a_database(kept: Kept) -> Kept:
    return Kept(*json.loads(json.dumps(kept, sort_keys=True)))


SCALARS = st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["", "a", "1", CutText("long…")])
VALUES = st.recursive(
    SCALARS | st.sampled_from([TOTAL, Decimal("1"), 1.0]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab~/"), inner, max_size=2),
    max_leaves=4,
)
NAMES = st.sampled_from(["name", "legs", "weight", "keeper_id", "a/b"])
PART = st.dictionaries(NAMES, VALUES, max_size=4)
CHANGES = st.dictionaries(NAMES, st.fixed_dictionaries({"old": VALUES, "new": VALUES}) | VALUES, max_size=3)
ACTORS = st.none() | st.fixed_dictionaries(
    {"id": st.sampled_from([7, "7", "", None]), "username": st.sampled_from(["ada", "eve"])}
)
REQUESTS = st.none() | st.fixed_dictionaries({"id": st.sampled_from(["r1", "r2"]), "method": st.just("POST")})


@st.composite
def contexts(draw: st.DrawFn) -> dict[str, Any]:
    """A context as capture makes them, and in places as nobody makes them."""
    instance, old, changes = draw(st.none() | PART), draw(st.none() | PART), draw(st.none() | CHANGES)
    for name, change in (changes or {}).items():
        # Mostly the same values stand in two places.
        if isinstance(change, dict) and "old" in change:
            for part, side in ((instance, "new"), (old, "old")):
                if part is not None and draw(st.booleans()):
                    part[name] = copy.deepcopy(change[side])
    if instance is not None and old is not None and draw(st.booleans()):
        old |= {
            name: copy.deepcopy(instance[name])
            for name in draw(st.lists(st.sampled_from(list(instance) or [""])))
            if name in instance
        }
    names = None if changes is None else draw(st.just(list(changes)) | st.lists(NAMES, max_size=2))
    told = {"instance": instance, "old": old, "changes": changes, "changed": names, "created": draw(st.booleans())}
    return {**told, "actor": draw(ACTORS), "request": draw(REQUESTS), "signal": draw(st.none() | PART)}


@given(contexts(), st.sampled_from([5, "5", None, [1, 2]]))
def test_what_is_shortened_is_restored_to_the_letter(context: dict[str, Any], pk: Any) -> None:
    before = stored({**context, "event": header(pk)})
    short = through_a_database(shorten(copy.deepcopy(before), COLUMNS))
    after = restore(short, COLUMNS)
    assert json.dumps(after.context, sort_keys=True) == json.dumps(before.context, sort_keys=True) or (
        # Pointers of what was taken from elsewhere come last.
        _sorted(after) == _sorted(before)
    )
    assert sorted(after.decimals) == sorted(before.decimals)
    assert len(json.dumps(short)) <= len(json.dumps(before))


def _sorted(kept: Kept) -> Any:
    context: Any = kept.context
    own = {**context["event"], "cut": sorted(context["event"].get("cut", ()))}
    return json.dumps({**context, "event": own}, sort_keys=True)


def test_an_update_says_each_value_once() -> None:
    changes = {"name": {"old": "a", "new": "b"}, "weight": {"old": None, "new": TOTAL}}
    kept = stored(
        {
            "instance": {"name": "b", "legs": 4, "weight": TOTAL},
            "old": {"name": "a", "weight": None},
            "changed": ["name", "weight"],
            "changes": changes,
            "created": False,
            "actor": {"id": 7, "username": "ada"},
            "request": {"id": "r1", "method": "POST", "path": "/"},
        }
    )
    short = shorten(kept, COLUMNS)
    assert short.context == {
        "event": [5],
        "instance": {"name": "b", "legs": 4, "weight": "12.50"},
        "old": {"name": "a", "weight": None},
        "changed": ["name", "weight"],
        "created": False,
        "actor": 7,
        "request": {"method": "POST", "path": "/"},
    }
    assert short.decimals == ["/instance/weight"]
    assert sorted(restore(short, COLUMNS).decimals) == ["/changes/weight/new", "/instance/weight"]


def test_of_what_an_object_was_only_the_difference_is_kept() -> None:
    instance = {"pk": 5, "id": 5, "name": "b", "weight": TOTAL, "notes": CutText("long…1234abcd"), "keeper": {"pk": 1}}
    old = {"id": 5, "name": "a", "weight": TOTAL, "notes": CutText("long…1234abcd")}
    short = shorten(stored({"instance": {**instance, "legs": 4}, "old": {**old, "legs": 4}}), COLUMNS)
    assert short.context["old"] == [{"name": "a"}, ["pk", "keeper"]]
    assert (short.decimals, short.context["event"]) == (["/instance/weight"], [5, ["CutText/instance/notes"]])
    whole = restore(through_a_database(short), COLUMNS)
    assert whole.context["old"] == {"id": 5, "name": "a", "weight": "12.50", "notes": "long…1234abcd", "legs": 4}
    assert sorted(whole.decimals) == ["/instance/weight", "/old/weight"]
    assert whole.context["event"]["cut"] == ["CutText/instance/notes", "CutText/old/notes"]


def test_a_create_has_its_values_once_cut_ones_too() -> None:
    long, rows = CutText("long…1234abcd"), CutList([TOTAL, "…"])
    changes = {"name": {"old": None, "new": long}, "data": {"old": None, "new": rows}}
    kept = stored({"instance": {"name": long, "data": rows}, "changed": ["name", "data"], "changes": changes})
    short = shorten(kept, COLUMNS)
    assert "changes" not in short.context
    assert short.context["event"] == [5, ["CutText/instance/name", "CutList/instance/data"]]
    assert _sorted(restore(through_a_database(short), COLUMNS)) == _sorted(kept)


@pytest.mark.parametrize(
    "context",
    [
        {"event": header(root_id=str(UUID(int=2)))},
        {"event": header(occurred_at=None)},
        {"event": header(more=1)},
        {"event": None},
        {"changed": ["name"], "changes": {"name": 1}},
        {"changed": ["name", "name"], "changes": {"name": {"old": 1, "new": 2}}},
        {"changed": ["name"], "changes": None},
    ],
)
def test_what_could_not_be_restored_is_kept_whole(context: dict[str, Any]) -> None:
    kept = Kept({**NOTHING, "event": header(), **context}, [])
    assert shorten(kept, COLUMNS) is kept


def test_a_context_without_all_its_parts_is_kept_whole() -> None:
    kept = Kept({"event": header()}, [])
    assert shorten(kept, COLUMNS) is kept
    assert restore(kept, COLUMNS) is kept


def test_a_time_zone_of_the_database_is_no_other_time() -> None:
    there = COLUMNS._replace(occurred_at=AT.astimezone(timezone(timedelta(hours=2))))
    assert restore(Kept({"event": [5]}, []), there).context["event"] == header()


def test_a_row_of_an_event_is_short_unless_the_site_says_otherwise(settings: Any) -> None:
    told = event(instance={"name": "a"}, created=False)
    assert event_row(told, (), 0).context == {"event": [5], "instance": {"name": "a"}, "created": False}
    settings.RULES_ENGINE = {"KEEP_EVENTS_WHOLE": True}
    assert event_row(told, (), 0).context == told.context


def test_a_release_that_does_not_know_the_form_fails_on_it() -> None:
    # As it reads the object's key: an attempt that fails is made again, one that acts on half an event is not undone.
    row = event_row(event(), (), 0)
    with pytest.raises(AttributeError):
        row.context.get("event", {}).get("pk")  # type: ignore[union-attr]


def test_an_evaluation_is_stored_without_what_is_empty() -> None:
    matched, missed = Evaluation("r", 1, "matched"), Evaluation("q", 2, "not_matched", "condition", "no")
    assert event_row(event(), [matched, missed], 1).evaluations == [
        {"rule": "r", "version": 1, "outcome": "matched"},
        {"rule": "q", "version": 2, "outcome": "not_matched", "gate": "condition", "detail": "no"},
    ]


def test_an_event_keeps_what_its_object_was_before_a_chain() -> None:
    caused = event()._replace(root_id=UUID(int=2), depth=3)
    caused = caused._replace(context={**caused.context, "event": header(root_id=str(UUID(int=2)), depth=3)})
    assert event_row(caused, (), 0).context == {"event": [5]}
