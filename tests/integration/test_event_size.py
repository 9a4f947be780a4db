"""What an event takes in the database, and that those of both forms are read alike: the short one, and the whole one
that earlier releases wrote."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection

from rules_engine import acting_as
from rules_engine.models import Event, Execution
from rules_engine.testing import create_rule, run_due
from rules_engine.types import CutText, new_id
from tests.zoo.models import Animal

pytestmark = pytest.mark.django_db(transaction=True)

WHOLE = {"KEEP_EVENTS_WHOLE": True}
TEXT = "{{ instance.name }} of {{ actor.username }} at {{ event.occurred_at }}: {{ changes.weight.new }}"


def rule(*operations: str, **fields: Any) -> None:
    reads = {"and": [{"var": "instance.name"}, {"var": "changes.weight.new"}]}
    create_rule(
        slug="r",
        model=Animal,
        operations=list(operations),
        condition=reads,
        actions=[("log_message", {"message": TEXT})],
        **fields,
    )


def saved() -> Event:
    """An event of an animal that is created by somebody, and one of its change; of both the last is given."""
    with acting_as(get_user_model().objects.create(username="ada")):
        animal = Animal.objects.create(name="rex", weight=Decimal("12.50"), legs=4)
        animal.weight = Decimal("13.00")
        animal.save()
    return Event.objects.latest("id")


def stored() -> Sequence[Any]:
    return list(Event.objects.order_by("id").values_list("context", flat=True))


def captured() -> list[Any]:
    """What actions and conditions read of each event, without what differs from one run to the other."""
    told = [event.captured().context for event in Event.objects.order_by("id")]
    return [{**one, "event": {**one["event"], "id": "", "root_id": "", "occurred_at": "", "pk": 0}} for one in told]


def test_an_event_is_read_as_it_was_whichever_form_its_row_has(settings: Any) -> None:
    rule()
    saved()
    short, told = stored(), captured()
    Event.objects.all().delete()
    get_user_model().objects.all().delete()
    settings.RULES_ENGINE = WHOLE
    saved()
    assert {type(one["event"]) for one in short} == {list}
    assert {type(one["event"]) for one in stored()} == {dict}
    for one, other in zip(captured(), told, strict=True):
        assert {**one, "actor": one["actor"]["username"]} == {**other, "actor": other["actor"]["username"]}
        assert {type(change["new"]) for change in one["changes"].values()} >= {Decimal}


def test_the_columns_and_the_context_of_an_event_agree() -> None:
    rule()
    event = saved()
    header = event.context["event"]
    assert (header["id"], header["root_id"]) == (str(event.pk), str(event.root_id))
    assert (header["signal"], header["operation"], header["model"]) == ("post_save", "update", "zoo.animal")
    assert (header["pk"], header["occurred_at"], header["depth"]) == (
        int(event.object_pk),
        event.occurred_at.isoformat(),
        0,
    )
    assert event.context["actor"] == {"id": int(event.actor_id), "username": "ada"}
    assert event.context["changes"]["weight"] == {"old": "12.50", "new": "13.00"}
    assert event.context["m2m"] is None


def test_a_row_that_an_earlier_release_wrote_is_read_as_it_stands() -> None:
    pk, at = new_id(), datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
    header = {"id": str(pk), "signal": "post_save", "operation": "update", "model": "zoo.animal", "pk": 5}
    header |= {"occurred_at": at.isoformat(), "root_id": str(pk), "depth": 0, "cut": ["CutText/instance/notes"]}
    changes = {"weight": {"old": None, "new": "12.50"}}
    context = {
        "event": header,
        "instance": {"weight": "12.50", "notes": "long…1234abcd"},
        "old": {"weight": None},
        "changed": ["weight"],
        "changes": changes,
        "created": False,
        "actor": None,
        "request": None,
        "m2m": None,
        "signal": None,
    }
    decimals = ["/changes/weight/new", "/instance/weight"]
    evaluations = [{"rule": "r", "version": 1, "outcome": "matched", "gate": None, "detail": ""}]
    Event.objects.bulk_create(
        [
            Event(
                pk=pk,
                root_id=pk,
                signal="post_save",
                operation="update",
                model="zoo.animal",
                object_pk="5",
                occurred_at=at,
                context=context,
                decimals=decimals,
                evaluations=evaluations,
            )
        ]
    )
    event = Event.objects.get()
    assert (event.context, event.decimals, event.evaluations) == (context, decimals, evaluations)
    told = event.captured()
    assert told.pk == 5
    assert told.context["changes"]["weight"]["new"] == told.context["instance"]["weight"] == Decimal("12.50")
    assert isinstance(told.context["instance"]["notes"], CutText)


@pytest.mark.parametrize("form", [{}, WHOLE])
def test_an_action_is_carried_out_whichever_form_the_row_has(form: dict[str, bool], settings: Any) -> None:
    settings.RULES_ENGINE = form
    rule("update")
    event = saved()
    # Whoever carries it out may be told another form, or have been.
    settings.RULES_ENGINE = {} if form else WHOLE
    assert run_due() == 1
    told = f"rex of ada at {event.occurred_at.isoformat()}: 13.00"
    assert Execution.objects.get().summary == f"Logged: {told}"


def test_an_event_that_is_fetched_in_parts_is_whole() -> None:
    rule()
    saved()
    whole = Event.objects.latest("id")
    for part in (Event.objects.only("pk"), Event.objects.defer("context"), Event.objects.only("context")):
        assert part.latest("id").captured() == whole.captured()
    named = Event.objects.only("pk").latest("id")
    assert named.context["changed"] == ["weight"]
    assert Execution.objects.select_related("event").latest("id").event.captured() == whole.captured()


def test_a_row_that_is_saved_anew_stays_what_it_was() -> None:
    rule()
    event = saved()
    told = event.captured()
    Event.objects.latest("id").save()
    assert Event.objects.latest("id").captured() == told


@pytest.mark.postgres("it tells how many bytes a value takes")
def test_a_change_of_a_whole_object_says_once_what_it_was() -> None:
    create_rule(slug="r", model=Animal, operations=["update"], actions=[("write_audit_entry", {})])
    saved()
    with connection.cursor() as cursor:
        cursor.execute("SELECT context FROM rules_engine_event")
        [[context]] = cursor.fetchall()
        cursor.execute("SELECT pg_column_size(context) FROM rules_engine_event")
        [[size]] = cursor.fetchall()
    left, without = json.loads(context)["old"]
    assert left["weight"] == "12.50"
    assert "name" not in left
    assert without == ["pk"]
    assert size <= 560


@pytest.mark.postgres("elsewhere each foreign key has an index of its own")
def test_an_attempt_has_two_indexes() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_indexes WHERE tablename = 'rules_engine_attempt'")
        assert cursor.fetchone() == (2,)


@pytest.mark.postgres("it tells how many bytes a value takes")
def test_an_ordinary_event_is_small() -> None:
    rule("update")
    saved()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_column_size(e.*), pg_column_size(context) FROM rules_engine_event e")
        [(row, context)] = cursor.fetchall()
        cursor.execute("SELECT count(*) FROM pg_indexes WHERE tablename = 'rules_engine_event'")
        [indexes] = cursor.fetchone()
    # 900 bytes on disk with its indexes, whose entries have some 20 to 45 bytes each.
    assert indexes == 4
    assert row <= 550
    assert context <= 320
