"""Why a rule did not act on an object: the first gate that stopped it, and never a guess."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from project.shop.models import Order
from rules_engine.admin.test import why
from rules_engine.models import Event, Recording, Rule
from rules_engine.testing import create_rule, refresh
from tests.zoo.models import Animal, Dog

pytestmark = pytest.mark.django_db(transaction=True)

LOG = ("log_message", {"message": "x"})
PAID = {"==": [{"var": "instance.status"}, "paid"]}


def record() -> None:
    Recording.objects.create(model="shop.order", until=timezone.now() + timedelta(hours=1))
    refresh()


def ask(client: Client, pk: Any, **more: str) -> str:
    response = client.get(reverse("admin:rules_engine_rule_why"), {"model": "shop.order", "pk": str(pk), **more})
    assert response.status_code == 200
    return re.sub(r"\s+", " ", unescape(strip_tags(response.content.decode().replace("<", " <"))))


def rule(name: str, **fields: Any) -> Rule:
    return create_rule(Order, name=name, slug=name.lower(), actions=[LOG], **fields)


def test_each_rule_is_told_with_the_first_gate_that_stopped_it(admin_client: Client) -> None:
    rule("Acting")
    rule("Updates", operations=["update"])
    rule("Paid", condition=PAID)
    rule("Deletes", signals=["post_delete"])
    rule("Off", enabled=False)
    record()
    made = Order.objects.create(order_number="A")
    page = ask(admin_client, made.pk)
    assert "Acting v1 matched Write a log message: pending" in page
    assert "Updates v1 did not match What happened This was: created." in page
    assert "Paid v1 did not match Its condition The condition is false." in page
    assert "Status is Paid false Status Draft" in page
    assert "Deletes was not tried – It does not listen to post_save." in page
    assert "Off was not tried – It is switched off." in page


def test_values_are_shown_while_the_rule_is_as_it_was_to_who_may_see(
    admin_client: Client, staff: Callable[..., Client]
) -> None:
    rich = {">": [{"var": "instance.customer.email"}, "m"]}
    paid = rule("Paid", condition=PAID, changes=[{"field": "status", "to": "paid"}])
    rule("Rich", condition=rich)
    record()
    made = Order.objects.create(order_number="A")
    Order.objects.filter(pk=made.pk).update(customer=get_user_model().objects.create(username="c", email="a@x.example"))
    Order.objects.get(pk=made.pk).save()
    page = ask(admin_client, made.pk)
    assert "Status to Paid: did not change does not hold" in page
    assert "Customer › Email address “a@x.example”" in page
    views = [f"rules_engine.view_{name}" for name in ("rule", "event", "execution")]
    assert "a@x.example" not in ask(staff(*views, "shop.view_order"), made.pk)
    paid.changes = [{"field": "status", "to": "shipped"}]
    paid.save()
    refresh()
    page = ask(admin_client, made.pk)
    assert "Paid v1 did not match The fields that changed" in page
    assert "does not hold" not in page


def test_an_event_kept_for_another_rule_says_what_was_not_stored(admin_client: Client) -> None:
    create_rule(Order, slug="acting", actions=[("log_message", {"message": "{{ instance.total }}"})])
    some = {"some": [{"var": "instance.items"}, {">": [{"var": "quantity"}, 2]}]}
    rule("Big", condition={"or": [{">": [{"var": "instance.total"}, 100]}, some]})
    made = Order.objects.create(order_number="A", total=50)
    page = ask(admin_client, made.pk)
    assert "Big v1 did not match Its condition The condition is false." in page
    assert re.search(r"Total \S+ Not stored: Order items[^·]* · Test it on this object", page)


def test_an_object_without_a_recorded_event_gives_no_verdict(admin_client: Client) -> None:
    rule("Paid", condition=PAID)
    made = Order.objects.create(order_number="A")
    page = ask(admin_client, made.pk)
    assert "Not recorded: there is no event of this object." in page
    assert "Paid : not recorded · Test it on this object" in page
    assert "Record it from now on" in page
    assert "did not match" not in page


def test_a_later_rule_is_worked_out_from_records_or_said_not_recorded(
    admin_client: Client,
) -> None:
    rule("Acting")
    first = Order.objects.create(order_number="A")
    rule("Paid", condition=PAID)
    page = ask(admin_client, first.pk)
    assert "Paid not recorded Its condition Status" in page
    record()
    second = Order.objects.create(order_number="B")
    rule("Later", condition={"==": [{"var": "instance.order_number"}, "Z"]})
    page = ask(admin_client, second.pk)
    assert "Later did not match Its condition (worked out from what was recorded, by the rule as it is now)" in re.sub(
        " – ", " ", page
    )


def test_a_rule_behind_one_that_ends_the_processing_says_so(admin_client: Client) -> None:
    rule("First", position=1, stop_processing=True)
    rule("Second", position=2)
    made = Order.objects.create(order_number="A")
    assert "Second was not tried – First matched before, and ended the processing." in ask(admin_client, made.pk)


def test_that_another_rule_ended_the_processing_is_said_of_one_too(
    admin_client: Client,
) -> None:
    rule("First", position=1, stop_processing=True)
    rule("Second", position=2)
    made = Order.objects.create(order_number="A")
    page = ask(admin_client, made.pk, rule="SECO")
    assert "Second was not tried – First matched before, and ended the processing." in page
    assert "First v1" not in page


def test_rules_nearest_to_acting_come_first_and_all_are_told(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(why, "RULES", 2)
    rule("Deletes", signals=["post_delete"])
    rule("Updates", operations=["update"])
    rule("Paid", condition=PAID)
    rule("Acting")
    rule("Off", enabled=False)
    record()
    made = Order.objects.create(order_number="A")
    pages = [ask(admin_client, made.pk, p=str(number)) for number in (1, 2, 3)]
    told = [re.findall(r"(\w+)(?: v1)? (?:matched|did not match|was not tried)", page) for page in pages]
    assert told == [["Acting", "Paid"], ["Updates", "Deletes"], ["Off"]]
    assert "Rules 1 to 2 of 5." in pages[0]
    html = admin_client.get(reverse("admin:rules_engine_rule_why"), {"model": "shop.order", "pk": made.pk}).content
    assert f"?model=shop.order&amp;pk={made.pk}&amp;p=3".encode() in html
    Event.objects.all().delete()
    assert "Updates : not recorded" in ask(admin_client, made.pk, p="3")


def test_a_rule_is_found_by_a_part_of_its_name_and_none_is_said(admin_client: Client) -> None:
    rule("Acting")
    rule("Other")
    made = Order.objects.create(order_number="A")
    page = ask(admin_client, made.pk, rule="act")
    assert "Acting v1 matched" in page
    assert "Other v1" not in page
    assert "No rule that watches this model is called anything like that." in ask(admin_client, made.pk, rule="nothing")


def test_a_rule_that_is_no_more_is_told_by_its_record(admin_client: Client) -> None:
    gone = rule("Gone")
    made = Order.objects.create(order_number="A")
    gone.delete()
    refresh()
    assert "gone v1 matched" in ask(admin_client, made.pk)


def test_it_takes_as_many_queries_for_many_rules_and_events_as_for_few(admin_client: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as taken:
            ask(admin_client, made.pk)
        return len(taken)

    rule("Acting")
    rule("Paid", condition=PAID)
    record()
    made = Order.objects.create(order_number="A")
    few = queries()
    for number in range(20):
        rule(f"More-{number}", condition=PAID)
    for _ in range(3):
        made.save()
    assert queries() <= few


def test_a_time_leaves_out_what_came_after(admin_client: Client) -> None:
    rule("Acting")
    made = Order.objects.create(order_number="A")
    Event.objects.update(occurred_at=timezone.now() - timedelta(days=2))
    made.save()
    at = (timezone.localtime() - timedelta(days=1)).strftime("%Y-%m-%d %H:%M")
    page = ask(admin_client, made.pk, at=at)
    assert "post_save (create)" in page
    assert "post_save (update)" not in page


def test_it_takes_the_permissions_to_view_rules_events_and_the_model(staff: Callable[..., Client]) -> None:
    client = staff(
        "rules_engine.view_rule", "rules_engine.view_event", "rules_engine.view_execution", "shop.view_product"
    )
    page = client.get(reverse("admin:rules_engine_rule_why"), {"model": "shop.order", "pk": "1"}).content.decode()
    assert "shop.product" in page
    assert "Select a valid choice" in page


def test_the_command_tells_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    rule("Acting")
    rule("Off", enabled=False)
    rule("Deletes", signals=["post_delete"])
    made = Order.objects.create(order_number="A")
    out = StringIO()
    call_command("rules_explain", "shop.order", str(made.pk), stdout=out)
    assert "acting v1 matched" in out.getvalue()
    assert "off was not tried: It is switched off." in out.getvalue()
    assert "deletes was not tried: It does not listen to post_save." in out.getvalue()


def test_what_the_asker_may_not_view_of_an_object_is_left_out(staff: Callable[..., Client]) -> None:
    create_rule(Animal, actions=[LOG])
    dog = Dog.objects.create(name="Rex")
    Animal.objects.get(pk=dog.pk).save()
    rights = [f"rules_engine.view_{name}" for name in ("rule", "event", "execution")]
    client = staff(*rights, "zoo.view_animal")
    page = client.get(reverse("admin:rules_engine_rule_why"), {"model": "zoo.animal", "pk": str(dog.pk)})
    assert [told["event"].model for told in page.context["told"]] == ["zoo.animal"]
