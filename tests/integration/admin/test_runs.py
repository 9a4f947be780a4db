"""Running a rule on what is there, in the admin: from an object, from selected rows, from the rule; how far it is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from project.clinic.models import Doctor
from project.shop.models import Order
from rules_engine.admin.runs import asking
from rules_engine.models import Event, Execution, Rule, Run
from rules_engine.testing import create_rule, refresh, run_due
from rules_engine.work.runs import starting
from rules_engine.work.runs.permitted import has_keys_of
from tests.factories import make_doctor, make_order
from tests.integration.admin.conftest import change_url, client_of, make_user
from tests.zoo.models import Animal, Dog, Exhibit, OldAnimal, Statue

pytestmark = pytest.mark.django_db(transaction=True)

PAID = {"==": [{"var": "instance.status"}, "paid"]}
LOG = ("log_message", {"message": "Order {{ instance.order_number }}"})
RUNNER = ("rules_engine.view_rule", "rules_engine.run_rule", "rules_engine.view_run", "shop.view_order")
ORDERS = reverse("admin:shop_order_changelist")
ACTION = "run_rule_on_selected"


def run_url(rule: Rule) -> str:
    return reverse("admin:rules_engine_rule_run", args=[rule.pk])


def text_of(answer: Any) -> str:
    """What is read on a page: without tags, each run of blanks as one."""
    page = re.sub(r"<(script|style).*?</\1>", " ", answer.content.decode(), flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def posted_by(answer: Any) -> dict[str, str]:
    """The hidden fields of a page's form."""
    found = re.findall(r'<input type="hidden" name="(keys|version|run)" value="([^"]*)">', answer.content.decode())
    return {name: unescape(value) for name, value in found}


def press(client: Client, rule: Rule, answer: Any, button: str = "start") -> Any:
    return client.post(run_url(rule), {**posted_by(answer), button: "1"})


def test_the_page_counts_and_shows_what_would_be_done_and_does_nothing(admin_client: Client) -> None:
    rule = create_rule(Order, condition=PAID, actions=[LOG])
    for number in range(3):
        Order.objects.bulk_create([Order(order_number=f"A{number}", status="paid" if number else "pending")])
    page = text_of(admin_client.get(run_url(rule)))
    assert "It would act on 2 objects." in page
    assert "Order A1" in page
    assert "Order A2" in page
    assert "Order A0" not in page
    assert not Event.objects.exists()
    assert not Run.objects.exists()
    assert not Execution.objects.exists()


def test_the_button_has_it_done_and_leads_to_how_far_it_is(admin_client: Client) -> None:
    Order.objects.bulk_create([Order(order_number="A1", status="paid"), Order(order_number="A2", status="paid")])
    rule = create_rule(Order, name="Tell them", condition=PAID, actions=[LOG])
    answer = press(admin_client, rule, admin_client.get(run_url(rule)))
    run = Run.objects.get()
    assert answer["Location"] == reverse("admin:rules_engine_run_change", args=[run.pk])
    waiting = admin_client.get(answer["Location"])
    assert "waiting for a worker" in text_of(waiting)
    assert "run.js" in waiting.content.decode()
    run_due()
    done = admin_client.get(answer["Location"])
    assert "it matched 2 objects" in text_of(done)
    assert "run.js" not in done.content.decode()
    assert sorted(Execution.objects.values_list("summary", flat=True)) == ["Logged: Order A1", "Logged: Order A2"]
    assert set(Event.objects.values_list("actor_name", flat=True)) == {"root"}
    assert [entry.change_message for entry in LogEntry.objects.all()] == ["Run on all that its condition selects."]
    listed = text_of(admin_client.get(reverse("admin:rules_engine_run_changelist")))
    assert "Tell them" in listed or rule.slug in listed


def test_selected_rows_lead_by_a_rule_to_what_it_would_do(admin_client: Client) -> None:
    first, second, third = (make_order(order_number=f"A{n}", status="paid") for n in range(3))
    rule = create_rule(Order, name="Tell them", actions=[LOG])
    chosen = admin_client.post(ORDERS, {"action": ACTION, "_selected_action": [third.pk, first.pk]})
    assert "2 objects are selected" in text_of(chosen)
    assert f'formaction="{run_url(rule)}"' in chosen.content.decode()
    asked = admin_client.post(run_url(rule), posted_by(chosen))
    assert "It would act on 2 objects." in text_of(asked)
    press(admin_client, rule, asked)
    run_due()
    told = set(Event.objects.filter(signal="run").values_list("object_pk", flat=True))
    assert told == {str(first.pk), str(third.pk)}
    assert str(second.pk) not in told


def test_an_object_of_its_page_is_run_by_a_link(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    order, other = make_order(order_number="A1"), make_order(order_number="A2")
    rule = create_rule(Order, name="Tell them", actions=[LOG])
    create_rule(Order, name="Off", enabled=False, actions=[LOG])
    page = admin_client.get(reverse("admin:shop_order_change", args=[order.pk])).content.decode()
    links = re.findall(r'href="([^"]*/run/\?pk=[^"]*)"', page)
    assert links == [f"{run_url(rule)}?pk={order.pk}"]
    asked = admin_client.get(links[0])
    assert "It would act on 1 object." in text_of(asked)
    press(admin_client, rule, asked)
    run_due()
    assert list(Event.objects.values_list("object_pk", flat=True)) == [str(order.pk)]
    assert other.pk != order.pk


def test_a_rule_offers_to_be_run_to_whoever_may(staff: Callable[..., Client]) -> None:
    rule = create_rule(Order, actions=[LOG])
    page = staff(*RUNNER).get(change_url(rule)).content.decode()
    assert run_url(rule) in page
    for missing in ("rules_engine.run_rule", "shop.view_order"):
        client = client_of(make_user(*(name for name in RUNNER if name != missing), name=f"without {missing}"))
        assert run_url(rule) not in client.get(change_url(rule)).content.decode()
        answer = client.post(run_url(rule), {"start": "1", "version": "1"})
        assert answer.status_code == 403
    rule.enabled = False
    rule.save()
    assert (
        run_url(rule)
        not in client_of(make_user(*RUNNER, name="of one that is off")).get(change_url(rule)).content.decode()
    )
    assert not Run.objects.exists()


def test_the_action_is_offered_where_a_rule_can_be_run_to_whoever_may(admin_client: Client) -> None:
    make_order()
    make_doctor()
    doctors = reverse("admin:clinic_doctor_changelist")
    assert ACTION not in admin_client.get(ORDERS).content.decode()
    create_rule(Order, actions=[LOG])
    create_rule(Doctor, signals=["post_delete"], actions=[("log_message", {"message": "gone"})])
    assert ACTION in admin_client.get(ORDERS).content.decode()
    assert ACTION not in admin_client.get(doctors).content.decode()
    viewer = client_of(make_user("shop.view_order", "shop.change_order", "rules_engine.view_rule"))
    assert ACTION not in viewer.get(ORDERS).content.decode()


def test_what_who_asks_does_not_see_is_neither_counted_nor_run(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, unseen, hidden = (make_order(order_number=number) for number in ("SEEN", "UNSEEN", "HIDDEN"))
    page = admin.site.get_model_admin(Order)
    monkeypatch.setattr(page, "get_queryset", lambda request: Order.objects.exclude(pk=unseen.pk))
    monkeypatch.setattr(
        page, "has_view_permission", lambda request, obj=None: obj is None or obj.pk != hidden.pk, raising=False
    )
    rule, client = create_rule(Order, actions=[LOG]), client_of(make_user(*RUNNER))
    asked = client.get(run_url(rule))
    assert "It would act on 1 object." in text_of(asked)
    assert "UNSEEN" not in text_of(asked)
    press(client, rule, asked)
    keys = json.dumps([order.pk for order in (seen, unseen, hidden)])
    client.post(run_url(rule), {"keys": keys, "version": posted_by(asked)["version"], "start": "1"})
    assert Run.objects.count() == 2
    run_due()
    assert set(Event.objects.values_list("object_pk", flat=True)) == {str(seen.pk)}


def test_of_more_than_a_worker_can_be_told_some_are_to_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        make_order(order_number=str(number))
    page = admin.site.get_model_admin(Order)
    monkeypatch.setattr(page, "get_queryset", lambda request: Order.objects.all())
    monkeypatch.setattr(asking, "MOST_KEYS", 2)
    rule, client = create_rule(Order, actions=[LOG]), client_of(make_user(*RUNNER))
    answer = press(client, rule, client.get(run_url(rule)))
    assert "choose some of them" in text_of(answer)
    assert not Run.objects.exists()


def test_a_part_that_is_cut_off_is_refused_and_not_taken_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    orders = [make_order(order_number=str(number)) for number in range(4)]
    page = admin.site.get_model_admin(Order)
    # Of the first three one is hidden: the two that are left are no more than a run takes.
    monkeypatch.setattr(
        page, "has_view_permission", lambda request, obj=None: obj is None or obj.pk != orders[0].pk, raising=False
    )
    monkeypatch.setattr(asking, "MOST_KEYS", 2)
    rule, client = create_rule(Order, actions=[LOG]), client_of(make_user(*RUNNER))
    assert "choose some of them" in text_of(press(client, rule, client.get(run_url(rule))))
    assert not Run.objects.exists()


def test_whoever_may_not_view_runs_is_led_back_to_the_rule() -> None:
    make_order(order_number="A1")
    rights = [right for right in RUNNER if not right.endswith("view_run")]
    rule, client = create_rule(Order, actions=[LOG]), client_of(make_user(*rights))
    answer = press(client, rule, client.get(run_url(rule)))
    assert answer["Location"] == change_url(rule)
    assert "The run has begun." in text_of(client.get(answer["Location"]))
    assert Run.objects.count() == 1


def test_a_button_that_is_pressed_twice_begins_one_run(admin_client: Client) -> None:
    make_order(order_number="A1")
    rule = create_rule(Order, actions=[LOG])
    asked = admin_client.get(run_url(rule))
    first, again = press(admin_client, rule, asked), press(admin_client, rule, asked)
    assert first["Location"] == again["Location"]
    assert Run.objects.count() == 1
    press(admin_client, rule, asked, "count")
    assert sorted(Run.objects.values_list("counts_only", flat=True)) == [False, True], "to count is a run of its own"
    press(admin_client, rule, admin_client.get(run_url(rule)))
    assert Run.objects.count() == 3


@pytest.mark.parametrize("key", ["", "x", "7", "\0"])
def test_a_key_of_a_run_that_nobody_gave_begins_one_all_the_same(admin_client: Client, key: str) -> None:
    rule = create_rule(Order, actions=[LOG])
    posted = posted_by(admin_client.get(run_url(rule)))
    assert admin_client.post(run_url(rule), {**posted, "run": key, "start": "1"}).status_code == 302
    assert Run.objects.count() == 1


def test_the_key_of_another_rules_run_is_refused(admin_client: Client) -> None:
    one, other = create_rule(Order, slug="one", actions=[LOG]), create_rule(Order, slug="other", actions=[LOG])
    posted = posted_by(admin_client.get(run_url(one)))
    admin_client.post(run_url(one), {**posted, "start": "1"})
    mine = posted_by(admin_client.get(run_url(other)))
    answer = admin_client.post(run_url(other), {**mine, "run": posted["run"], "start": "1"})
    assert "This button began another run" in text_of(answer)
    assert Run.objects.count() == 1


def test_a_list_is_not_run_and_what_acts_on_each_is(admin_client: Client) -> None:
    make_order(order_number="A1", status="paid")
    every = {"kind": "every", "each": "day", "at": "08:00"}
    digest = create_rule(
        Order, slug="l", signals=(), schedule={**every, "of": "rows"}, actions=[("log_message", {"message": "x"})]
    )
    answer = admin_client.get(run_url(digest))
    assert "makes one list of all objects" in text_of(answer)
    assert 'name="start"' not in answer.content.decode()
    stays = {"kind": "stays", "count": 3, "unit": "days"}
    for slug, more in (("e", {"signals": (), "schedule": {**every, "of": "each"}}), ("s", {"schedule": stays})):
        rule = create_rule(Order, slug=slug, condition=PAID, actions=[LOG], **more)
        assert "also on what is not due" in text_of(admin_client.get(run_url(rule)))
    often = create_rule(
        Order, slug="o", schedule={"kind": "often", "times": 2, "count": 1, "unit": "hours"}, actions=[LOG]
    )
    assert "also on what is not due" not in text_of(admin_client.get(run_url(often)))


def test_the_list_of_runs_asks_no_statement_for_each(admin_client: Client) -> None:
    make_order(order_number="A1")
    rule = create_rule(Order, actions=[LOG])
    runs = reverse("admin:rules_engine_run_changelist")
    counts = []
    for _more in range(2):
        for _run in range(4):
            press(admin_client, rule, admin_client.get(run_url(rule)))
        with CaptureQueriesContext(connection) as queries:
            page = admin_client.get(runs).content.decode()
        counts.append(len(queries))
        assert f'href="{change_url(rule)}"' in page
    assert counts[0] == counts[1]
    rule.delete()
    assert admin_client.get(runs).status_code == 200


def test_how_far_it_is_is_a_number_that_a_browser_reads(admin_client: Client, settings: Any) -> None:
    settings.USE_THOUSAND_SEPARATOR = True
    rule = create_rule(Order, actions=[LOG])
    press(admin_client, rule, admin_client.get(run_url(rule)))
    Run.objects.update(total=123456, looked_at=1234)
    page = admin_client.get(reverse("admin:rules_engine_run_change", args=[Run.objects.get().pk])).content.decode()
    assert '<progress max="123456" value="1234"' in page


def test_a_rule_that_was_changed_since_is_looked_at_again(admin_client: Client) -> None:
    make_order(order_number="A1")
    rule = create_rule(Order, actions=[LOG])
    asked = admin_client.get(run_url(rule))
    rule.condition = PAID
    rule.save()
    answer = press(admin_client, rule, asked)
    assert "was changed since you looked" in text_of(answer)
    assert "It would act on 0 objects." in text_of(answer)
    assert not Run.objects.exists()


def test_without_time_for_all_it_says_about_and_counts_on_demand(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "SECONDS", -1.0)
    Order.objects.bulk_create([Order(order_number=f"A{number}", status="paid") for number in range(4)])
    rule = create_rule(Order, condition=PAID, actions=[LOG])
    asked = admin_client.get(run_url(rule))
    assert "of 4 objects" in text_of(asked)
    assert "Run it on all of them" in text_of(asked)
    answer = press(admin_client, rule, asked, "count")
    run_due()
    counted = admin_client.get(answer["Location"])
    assert "It would act on 4 objects." in text_of(counted)
    assert run_url(rule) in counted.content.decode()
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"changes": [{"field": "status"}]}, "which fields changed is not asked"),
        ({"sample_percent": 10}, "Its sample is left out"),
        ({"once": True}, "It acts once on an object"),
        ({"condition": {"!=": [{"var": "old.status"}, "x"]}}, "It reads old, of which a run knows nothing"),
        ({"throttle_count": 1, "throttle_seconds": 60}, "there is room for it now"),
    ],
)
def test_what_is_left_out_and_what_is_heeded_is_said(admin_client: Client, fields: Any, said: str) -> None:
    rule = create_rule(Order, actions=[LOG], **fields)
    Order.objects.bulk_create([Order(order_number="A1")])
    assert said in text_of(admin_client.get(run_url(rule)))


def test_a_rule_on_time_is_run_now_and_says_what_it_does_not_know(admin_client: Client) -> None:
    Order.objects.bulk_create([Order(order_number="A1", status="paid")])
    every = {"kind": "every", "each": "day", "at": "08:00", "of": "each"}
    told = ("log_message", {"message": "Order {{ instance.order_number }} at {{ due.at|default:'any time' }}"})
    rule = create_rule(Order, signals=(), schedule=every, condition=PAID, actions=[told])
    asked = admin_client.get(run_url(rule))
    assert "It would act on 1 object." in text_of(asked)
    assert "It reads due, of which a run knows nothing" in text_of(asked)
    assert "also on what is not due" in text_of(asked)
    press(admin_client, rule, asked)
    run_due()
    assert Event.objects.get().signal == "run"


def test_a_rule_that_cannot_be_run_says_why_and_has_no_button(admin_client: Client) -> None:
    off = create_rule(Order, enabled=False, actions=[LOG])
    gone = create_rule(Order, signals=["post_delete"], actions=[LOG])
    for rule, said in ((off, "switched on"), (gone, "what is deleted")):
        answer = admin_client.get(run_url(rule))
        assert said in text_of(answer)
        assert 'name="start"' not in answer.content.decode()
        assert said in text_of(admin_client.post(run_url(rule), {"start": "1", "version": "1"}))
    assert not Run.objects.exists()


@pytest.mark.parametrize("keys", ["[", "7", '{"a": 1}', '["x"]', "[[1, 2]]", "[null]", '["\\u0000"]', "[1e400]"])
def test_keys_that_nobody_chose_are_refused_in_words(admin_client: Client, keys: str) -> None:
    rule = create_rule(Order, actions=[LOG])
    answer = admin_client.post(run_url(rule), {"keys": keys, "version": "1", "start": "1"})
    assert answer.status_code in (200, 302)
    run_due()
    assert not Event.objects.exists()


def test_too_many_rows_are_not_taken(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from rules_engine.admin.runs import choosing

    monkeypatch.setattr(choosing, "MOST_KEYS", 1)
    chosen = [make_order().pk, make_order().pk]
    create_rule(Order, actions=[LOG])
    answer = admin_client.post(ORDERS, {"action": ACTION, "_selected_action": chosen}, follow=True)
    assert "A run takes 1 that are chosen one by one" in text_of(answer)


def test_a_run_is_cancelled_by_a_button(admin_client: Client, staff: Callable[..., Client]) -> None:
    make_order()
    run = starting.start_run(create_rule(Order, actions=[LOG]).slug)
    url = reverse("admin:rules_engine_run_cancel", args=[run.pk])
    assert staff("rules_engine.view_run").post(url).status_code == 403
    assert url in admin_client.get(reverse("admin:rules_engine_run_change", args=[run.pk])).content.decode()
    admin_client.post(url)
    run_due()
    run.refresh_from_db()
    assert (run.state, run.reason) == ("cancelled", "Cancelled by root.")
    assert not Event.objects.filter(signal="run").exists()


def test_proxies_and_parents_may_have_the_same_keys() -> None:
    assert has_keys_of(Dog, Animal)
    assert has_keys_of(OldAnimal, Animal)
    assert has_keys_of(Animal, OldAnimal)
    assert not has_keys_of(Animal, Dog)
    assert not has_keys_of(Statue, Exhibit)
    assert not has_keys_of(Animal, get_user_model())


def test_why_and_the_event_tell_of_a_run(admin_client: Client) -> None:
    order = make_order(order_number="A1", status="paid")
    ran = create_rule(Order, name="Ran", condition=PAID, operations=["create"], actions=[LOG])
    create_rule(Order, name="Another", condition=PAID, actions=[LOG])
    starting.start_run(ran.slug)
    run_due()
    why = admin_client.get(reverse("admin:rules_engine_rule_why"), {"model": "shop.order", "pk": order.pk})
    assert why.status_code == 200
    event = Event.objects.get(signal="run")
    page = text_of(admin_client.get(reverse("admin:rules_engine_event_change", args=[event.pk])))
    assert "matched" in page
    assert Run.objects.get().pk.hex in page
    tested = admin_client.get(reverse("admin:rules_engine_rule_backtest", args=[ran.pk]))
    assert tested.status_code == 200


def test_the_pages_speak_german(german: Client) -> None:
    make_order()
    rule = create_rule(Order, actions=[LOG])
    refresh()
    assert "Auf Vorhandenes anwenden" in text_of(german.get(run_url(rule)))
