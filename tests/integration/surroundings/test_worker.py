"""Whatever acts later acts where the change was made, or not at all."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from rules_engine.actions.replay_executions import Selection
from rules_engine.capture import large_changes
from rules_engine.models import Armed, Attempt, Event, Execution, HeldMatch, LargeChange, Reservation
from rules_engine.models.reservation import digest_of
from rules_engine.sending import order
from rules_engine.surroundings.state import here
from rules_engine.testing import create_rule, run_due
from rules_engine.work.large_changes import tell_due
from rules_engine.work.replays import replay
from rules_engine.work.runs.starting import ARMING, start_run
from tests.factories import make_animals, make_endpoint
from tests.http_server import MisbehavingServer
from tests.integration.surroundings import shop_of
from tests.integration.surroundings.shop_of import open_in
from tests.integration.webhooks.waiting import make_due
from tests.zoo.models import Animal, Keeper, Tag

pytestmark = pytest.mark.django_db(transaction=True)

NOTE = ("note_shop", {"text": "{{ instance.name }}"})


def saved_in(*shops: Any) -> None:
    """Save an animal in each of these shops, named after it."""
    for shop in shops:
        with open_in(shop):
            Animal.objects.create(name=f"{shop}'s")


def test_each_execution_acts_where_its_change_was_made(shops: list[str]) -> None:
    create_rule(Animal, actions=[NOTE])
    saved_in("north", "south", "north")
    assert run_due() == 3
    assert sorted(shops) == ["north: north's", "north: north's", "south: south's"]
    assert shop_of.present() is None


def test_what_was_saved_in_no_shop_acts_in_none(shops: list[str]) -> None:
    create_rule(Animal, actions=[NOTE])
    saved_in(None)
    run_due()
    assert shops == ["None: None's"]


def test_surroundings_are_any_small_json(shops: list[str]) -> None:
    create_rule(Animal, actions=[NOTE])
    with open_in({"schema": "north", "role": 7}):
        Animal.objects.create(name="Rex")
    assert Event.objects.get().surroundings == '{"role":7,"schema":"north"}'
    run_due()
    assert shops == ["{'role': 7, 'schema': 'north'}: Rex"]


def test_what_is_no_json_is_a_fault_and_breaks_no_save(shops: list[str], caplog: pytest.LogCaptureFixture) -> None:
    create_rule(Animal, actions=[NOTE])
    with open_in("n" * 200):
        Animal.objects.create(name="Rex")
    assert Animal.objects.exists()
    assert not Event.objects.exists()
    assert "at most 100 characters" in caplog.text


def test_what_an_action_leads_to_is_of_the_same_shop(shops: list[str]) -> None:
    values = [{"field": "notes", "value": "seen"}]
    create_rule(Animal, operations=["create"], actions=[("update_objects", {"values": values})])
    create_rule(Animal, operations=["update"], actions=[NOTE])
    saved_in("north")
    run_due()
    assert shops == ["north: north's"]
    assert set(Event.objects.values_list("surroundings", flat=True)) == {'"north"'}


def test_an_execution_whose_shop_is_gone_fails_and_is_tried_again(shops: list[str]) -> None:
    create_rule(Animal, actions=[NOTE])
    saved_in("north", "south")
    shop_of.closed.append("north")
    run_due()
    assert shops == ["south: south's"]
    failed = Execution.objects.get(event__surroundings='"north"')
    assert failed.state == "retryable"
    assert failed.error == (
        'The surroundings "north" of the change could not be entered, so nothing was done: '
        "LookupError: The shop north is closed."
    )
    assert Attempt.objects.get(execution=failed).error == failed.error
    shop_of.closed.clear()
    make_due()
    run_due()
    assert shops[1:] == ["north: north's"]
    failed.refresh_from_db()
    assert failed.state == "succeeded"


def test_it_is_given_up_after_its_last_attempt(shops: list[str], settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "RETRY_SCHEDULE": []}
    create_rule(Animal, actions=[NOTE])
    saved_in("north")
    shop_of.closed.append("north")
    run_due()
    assert (Execution.objects.get().state, shops) == ("discarded", [])


def test_nothing_is_done_where_entering_leads_elsewhere(shops: list[str]) -> None:
    create_rule(Animal, actions=[NOTE])
    saved_in("north")
    shop_of.fault = "another"
    run_due()
    assert "once entered, the present ones are told as another." in Execution.objects.get().error
    assert shops == []
    assert shop_of.present() is None


@pytest.mark.parametrize("fault", ["stays", "leaving"])
def test_surroundings_that_are_not_left_end_with_the_connection(
    shops: list[str], caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    create_rule(Animal, actions=[NOTE])
    saved_in("north")
    shop_of.fault = fault
    run_due()
    assert shops == ["north: north's"]
    assert Execution.objects.get().state == "succeeded"
    assert "were not left as they were" in caplog.text


def test_they_are_left_after_an_action_that_fails(shops: list[str]) -> None:
    create_rule(Animal, actions=[("note_shop", {"text": "x", "fails": "x"}), NOTE])
    saved_in("north")
    run_due()
    assert shop_of.present() is None
    assert sorted(Execution.objects.values_list("state", flat=True)) == ["discarded", "succeeded"]


def test_without_the_setting_nothing_of_another_shop_is_done(shops: list[str], settings: Any) -> None:
    create_rule(Animal, actions=[NOTE])
    saved_in("north")
    settings.RULES_ENGINE = {key: value for key, value in settings.RULES_ENGINE.items() if key != "SURROUNDINGS"}
    run_due()
    assert shops == []
    assert 'RULES_ENGINE["SURROUNDINGS"] is not set any more.' in Execution.objects.get().error


def test_a_rule_acts_once_for_each_shop_s_object(shops: list[str]) -> None:
    create_rule(Animal, once=True, operations=["update"], actions=[NOTE])
    animal = make_animals("Rex")[0]
    for shop in ("north", "south", "north"):
        with open_in(shop):
            animal.save()
    run_due()
    assert sorted(shops) == ["north: Rex", "south: Rex"]


@pytest.mark.parametrize(
    "limit",
    [
        {"throttle_count": 1, "throttle_seconds": 60},
        {"throttle_count": 1, "throttle_seconds": 60, "throttle_by": "{{ instance.pk }}"},
        {"coalesce_seconds": 0},
        {"coalesce_seconds": 60, "coalesce_by": "all"},
    ],
)
def test_each_shop_has_its_own_limits(shops: list[str], limit: dict[str, Any]) -> None:
    create_rule(Animal, operations=["update"], actions=[NOTE], **limit)
    animal = make_animals("Rex")[0]
    for shop in ("north", "south"):
        with open_in(shop):
            animal.save()
    if limit.get("coalesce_seconds"):
        HeldMatch.objects.update(due_at=F("created_at"))
    run_due()
    assert sorted(shops) == ["north: Rex", "south: Rex"]
    keys = HeldMatch.objects.values_list("throttle_key", "coalesce_key").distinct()
    assert len(keys) == 2


def test_rows_that_are_read_later_are_read_there(shops: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rules_engine.capture.decision.AT_ONCE", 1)
    monkeypatch.setattr("rules_engine.rules.repetition.AT_ONCE", 1)
    each = {"var": "instance.animals"}
    action = ("note_shop", {"text": "{{ each.name }}"}, {"for_each": each})
    create_rule(Keeper, operations=["update"], actions=[action])
    keeper = Keeper.objects.create(name="Ada")
    for name in ("Rex", "Tom"):
        Animal.objects.create(name=name, keeper=keeper)
    with open_in("north"):
        keeper.save()
    shop_of.closed.append("north")
    run_due()
    assert "The shop north is closed" in Execution.objects.get().error
    shop_of.closed.clear()
    with open_in("north"):
        keeper.save()
    run_due()
    assert sorted(shops) == ["north: Rex", "north: Tom"]


def test_a_large_change_is_told_there(shops: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_changes, "AT_ONCE", 1)
    create_rule(Animal, signals=["m2m_changed"], actions=[NOTE])
    tag, animals = Tag.objects.create(name="old"), make_animals("Rex", "Tom")
    with open_in("north"):
        tag.animals.set(animals)
    assert LargeChange.objects.get().surroundings == '"north"'
    shop_of.closed.append("north")
    assert tell_due() == 0
    assert not Event.objects.exists()
    shop_of.closed.clear()
    LargeChange.objects.update(due_at=LargeChange.objects.get().created_at)
    run_due()
    assert sorted(shops) == ["north: Rex", "north: Tom"]
    assert not LargeChange.objects.exists()


def test_what_code_orders_is_done_there(shops: list[str]) -> None:
    with open_in("north"):
        order("note_shop", {"text": "by hand"}, signal="shop.ordered", context={})
    run_due()
    assert shops == ["north: by hand"]


def test_a_replay_acts_where_the_change_was_made(shops: list[str]) -> None:
    create_rule(Animal, actions=[NOTE])
    saved_in("north")
    run_due()
    Execution.objects.update(lane="some")
    with open_in("south"):
        replay(Selection("rules", ("some",), states=("succeeded",)), by={"id": 1, "username": "ada"})
    run_due()
    assert shops == ["north: north's", "north: north's"]


def test_an_object_s_deliveries_keep_their_order_in_each_shop(shops: list[str], server: MisbehavingServer) -> None:
    make_endpoint(url=server.url("/crm"), ordered=True)
    create_rule(Animal, operations=["update"], actions=[("webhook", {"endpoint": "crm", "payload": "{}"})])
    animal = make_animals("Rex")[0]
    for shop in ("north", "south", None):
        with open_in(shop):
            animal.save()
    keys = set(Execution.objects.values_list("order_key", flat=True))
    assert keys == {f'"north" zoo.animal:{animal.pk}', f'"south" zoo.animal:{animal.pk}', f"zoo.animal:{animal.pk}"}
    run_due()
    assert set(Execution.objects.values_list("state", flat=True)) == {"succeeded"}


def test_a_value_that_is_taken_is_taken_in_one_shop(shops: list[str]) -> None:
    outside = digest_of("zoo_animal", "name", "rex")
    with open_in("north"):
        assert digest_of("zoo_animal", "name", "rex") != outside
        assert here() == '"north"'
    assert Reservation.objects.count() == 0


def test_mails_of_two_shops_are_sent_in_theirs(shops: list[str]) -> None:
    config = {"to": ["a@example.com"], "subject": "{{ instance.name }}", "body": "x"}
    create_rule(Animal, actions=[("send_email", config)])
    saved_in("north", "south")
    run_due()
    assert sorted(message.subject for message in mail.outbox) == ["north's", "south's"]


def test_the_row_of_an_event_names_no_surroundings_where_there_are_none(noted: list[str]) -> None:
    create_rule(Animal, actions=[("note", {"text": "x"})])
    with CaptureQueriesContext(connection) as statements:
        Animal.objects.create(name="Rex")
    assert any("rules_engine_event" in query["sql"] for query in statements.captured_queries)
    assert not any("surroundings" in query["sql"] for query in statements.captured_queries)


def test_a_run_tells_what_is_there_where_it_was_asked_for(shops: list[str]) -> None:
    Animal.objects.bulk_create([Animal(name="Rex")])
    rule = create_rule(Animal, actions=[NOTE])
    with open_in("north"):
        start_run(rule.slug)
    run_due()
    assert shops == ["north: Rex"]
    assert Event.objects.get().surroundings == '"north"'
    assert shop_of.present() is None


def test_a_run_of_a_closed_shop_waits(shops: list[str]) -> None:
    Animal.objects.bulk_create([Animal(name="Rex")])
    rule = create_rule(Animal, actions=[NOTE])
    with open_in("north"):
        run = start_run(rule.slug)
    shop_of.closed.append("north")
    run_due()
    run.refresh_from_db()
    assert (run.state, run.failures, shops) == ("waiting", 1, [])
    assert "NotEntered" in run.reason


def test_what_is_so_already_is_waited_for_as_saves_there_mark_it(shops: list[str]) -> None:
    animal = Animal.objects.create(name="Rex")
    with open_in("north"):
        days = {"kind": "stays", "count": 3, "unit": "days"}
        rule = create_rule(Animal, actions=[NOTE], schedule=days, condition={"!!": {"var": "instance.name"}})
        start_run(rule.slug, signal=ARMING)
    run_due()
    kept = Armed.objects.filter(surroundings='"north"').values_list("key", flat=True)
    assert list(kept) == [f'"north" zoo.animal:{animal.pk}']
    with open_in("north"):
        animal.save()
    run_due()
    assert kept.all().count() == 1
