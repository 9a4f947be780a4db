"""Why a rule did, or did not, act on an object: one verdict a change and rule with its cause, and never a guess."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from project.shop.models import Order
from rules_engine.admin.why import page as why
from rules_engine.models import Event, Recording, Rule
from rules_engine.testing import create_rule, refresh, run_due
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
    return words(response)


def words(response: Any) -> str:
    return re.sub(r"\s+", " ", unescape(strip_tags(response.content.decode().replace("<", " <"))))


def rule(name: str, **fields: Any) -> Rule:
    return create_rule(Order, name=name, slug=name.lower(), actions=[LOG], **fields)


def test_each_rule_is_told_with_one_verdict_and_its_cause(admin_client: Client) -> None:
    rule("Acting")
    rule("Updates", operations=["update"])
    rule("Paid", condition=PAID)
    rule("Deletes", signals=["post_delete"])
    rule("Off", enabled=False)
    record()
    made = Order.objects.create(order_number="A")
    run_due()
    page = ask(admin_client, made.pk)
    assert re.search(r"acted Acting Write a log message at [^ ]+ [ap]\.m\. Logged: x\.", page)
    assert "did not match Paid Status was Draft; it has to be Paid." in page
    assert "not tried Off It is switched off. Switch it on" in page
    folded = page[page.index("2 more rules did not match, or are for something else") :]
    assert "did not match Updates This was: created. It is for what is: updated." in folded
    assert "not tried Deletes It is for when an order is deleted." in folded


def test_a_change_is_one_line_with_what_changed_and_by_whom(admin_client: Client) -> None:
    rule("Acting")
    record()
    made = Order.objects.create(order_number="A")
    admin_client.post(
        reverse("admin:shop_order_change", args=[made.pk]),
        {
            "order_number": "A", "status": "paid", "subtotal": "0", "shipping_cost": "0", "discount": "0", "total": "9",
            "items-TOTAL_FORMS": "0", "items-INITIAL_FORMS": "0",
            "status_history-TOTAL_FORMS": "0", "status_history-INITIAL_FORMS": "0",
        },
    )  # fmt: skip
    page = ask(admin_client, made.pk)
    assert "Order was updated by root Status: Draft → Paid" in page
    assert page.index("Order was updated by root") < page.index("Order was created")


def test_values_are_shown_while_the_rule_is_as_it_was(admin_client: Client, staff: Callable[..., Client]) -> None:
    rich = {">": [{"var": "instance.customer.email"}, "m"]}
    paid = rule("Paid", condition=PAID, changes=[{"field": "status", "to": "paid"}])
    rule("Rich", condition=rich)
    record()
    made = Order.objects.create(order_number="A")
    Order.objects.filter(pk=made.pk).update(customer=get_user_model().objects.create(username="c", email="a@x.example"))
    Order.objects.get(pk=made.pk).save()
    page = ask(admin_client, made.pk)
    assert "Status did not change; it has to change to Paid." in page
    assert "Customer › Email address was “a@x.example”; it has to be more than “m”." in page
    views = [f"rules_engine.view_{name}" for name in ("rule", "event", "execution")]
    assert "a@x.example" not in ask(staff(*views, "shop.view_order"), made.pk)
    paid.changes = [{"field": "status", "to": "shipped"}]
    paid.save()
    refresh()
    page = ask(admin_client, made.pk)
    assert "did not match Paid status did not change as asked." in page
    assert "it has to change to" not in page


def test_an_event_kept_for_another_rule_says_what_was_not_stored(admin_client: Client) -> None:
    create_rule(Order, slug="acting", actions=[("log_message", {"message": "{{ instance.total }}"})])
    some = {"some": [{"var": "instance.items"}, {">": [{"var": "quantity"}, 2]}]}
    rule("Big", condition={"or": [{">": [{"var": "instance.total"}, 100]}, some]})
    made = Order.objects.create(order_number="A", total=50)
    page = ask(admin_client, made.pk)
    said = (
        "did not match Big This did not hold: total is more than 100 or for at least one of the order items quantity "
        "is more than 2. Not on record of this change: Order items. Its condition · Test it on this object Total 50.00"
    )
    assert said in page


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
    assert "not recorded Paid The record of this change does not hold what the rule reads: Status." in page
    record()
    second = Order.objects.create(order_number="B")
    rule("Later", condition={"==": [{"var": "instance.order_number"}, "Z"]})
    page = ask(admin_client, second.pk)
    said = "did not match Later Order number was “B”; it has to be “Z”. (worked out)"
    assert said in page


def test_a_rule_behind_one_that_ends_the_processing_says_so(admin_client: Client) -> None:
    rule("First", position=1, stop_processing=True)
    rule("Second", position=2)
    made = Order.objects.create(order_number="A")
    assert "not tried Second First matched before, and ended the processing." in ask(admin_client, made.pk)


def test_that_another_rule_ended_the_processing_is_said_of_one_too(
    admin_client: Client,
) -> None:
    rule("First", position=1, stop_processing=True)
    rule("Second", position=2)
    made = Order.objects.create(order_number="A")
    page = ask(admin_client, made.pk, rule="SECO")
    assert "not tried Second First matched before, and ended the processing." in page
    assert "waiting First" not in page


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
    told = [re.findall(r"(?:waiting|did not match|not tried) (\w+)", page) for page in pages]
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
    assert "waiting Acting" in page
    assert "waiting Other" not in page
    assert "No rule that watches this model is called anything like that." in ask(admin_client, made.pk, rule="nothing")


def test_a_rule_that_is_no_more_is_told_by_its_record(admin_client: Client) -> None:
    gone = rule("Gone")
    made = Order.objects.create(order_number="A")
    gone.delete()
    refresh()
    assert 'The rule "gone" was deleted.' in ask(admin_client, made.pk)


def test_it_takes_as_many_queries_for_many_rules_and_events_as_for_few(admin_client: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as taken:
            ask(admin_client, made.pk)
        return len(taken)

    rule("Acting")
    rule("Paid", condition=PAID)
    rule("Seldom", throttle_count=1, throttle_seconds=3600, throttle_by="{{ instance.customer_id }}")
    record()
    made = Order.objects.create(order_number="A")
    made.save()
    run_due()
    few = queries()
    for number in range(20):
        rule(f"More-{number}", condition=PAID)
        rule(f"Seldom-{number}", throttle_count=1, throttle_seconds=3600)
    for _ in range(3):
        made.save()
    run_due()
    assert queries() <= few


def test_earlier_changes_are_on_further_pages(admin_client: Client) -> None:
    rule("Acting")
    made = Order.objects.create(order_number="A")
    for number in range(why.LATEST):
        made.total = number + 1
        made.save()
    response = admin_client.get(reverse("admin:rules_engine_rule_why"), {"model": "shop.order", "pk": made.pk})
    assert "Order was created" not in response.content.decode()
    earlier = re.search(r'href="(\?[^"]*before=[^"]*)"', response.content.decode())
    assert earlier is not None
    page = admin_client.get(reverse("admin:rules_engine_rule_why") + unescape(earlier[1])).content.decode()
    assert page.count("Order was created") == 1
    assert "Order was updated" not in page
    assert "Newest changes" in page


def test_a_time_leaves_out_what_came_after(admin_client: Client) -> None:
    rule("Acting")
    made = Order.objects.create(order_number="A")
    Event.objects.update(occurred_at=timezone.now() - timedelta(days=2))
    made.save()
    at = (timezone.localtime() - timedelta(days=1)).strftime("%Y-%m-%d %H:%M")
    page = ask(admin_client, made.pk, at=at)
    assert "Order was created" in page
    assert "Order was updated" not in page


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
    assert [change.event.model for change in page.context["changes"]] == ["zoo.animal"]


def test_a_bulk_write_is_said_not_to_have_been_heard(admin_client: Client) -> None:
    create_rule(Order, slug="acting", actions=[("log_message", {"message": "{{ instance.status }}"})])
    made = Order.objects.create(order_number="A", total=250)
    assert "not heard" not in ask(admin_client, made.pk)
    Order.objects.filter(pk=made.pk).update(status="paid")
    unsure = (
        "Since then Status: Draft → Paid not heard Nothing of it is on record: no rule matched it, or it was written"
    )
    page = ask(admin_client, made.pk)
    assert unsure in page
    assert page.count("Record it from now on") == 2
    assert "Since then" in words(admin_client.get(reverse("admin:shop_order_change", args=[made.pk])))
    record()
    Order.objects.get(pk=made.pk).save()
    assert "not heard" not in ask(admin_client, made.pk)
    Order.objects.filter(pk=made.pk).update(total=7)
    page = ask(admin_client, made.pk)
    assert "Since then Total: 250.00 → 7.00 not heard No rule heard it: it was written past the rules" in page
    Order.objects.filter(pk=made.pk)._raw_delete(using="default")
    assert "Since then It is gone not heard No rule heard it" in ask(admin_client, made.pk)


def test_what_was_saved_and_heard_is_never_said_to_be_unheard(admin_client: Client) -> None:
    rule("Acting", signals=["post_save", "post_delete"])
    made = Order.objects.create(
        order_number=" A ", total="12.3", status_changed_at=timezone.now(), customer=get_user_model().objects.get()
    )
    assert "not heard" not in ask(admin_client, made.pk)
    key = made.pk
    made.delete()
    page = ask(admin_client, key)
    assert "Order was deleted" in page
    assert "not heard" not in page


def test_a_save_that_a_rule_refused_is_told(admin_client: Client) -> None:
    shipped = {"==": [{"var": "instance.status"}, "shipped"]}
    reject = ("reject", {"message": "Not yet"})
    create_rule(Order, name="No", slug="no", signals=["pre_save"], condition=shipped, actions=[reject])
    rule("After")
    made = Order.objects.create(order_number="A")
    unknown = "not tried No It is for when an order is about to be created or updated. What it said before"
    assert unknown in ask(admin_client, made.pk)
    made.status = "shipped"
    with pytest.raises(ValidationError, match="Not yet"):
        made.save()
    page = ask(admin_client, made.pk)
    assert "Order was to be updated acted No Reject the change at" in page
    assert page.index("Order was to be updated") < page.index("Order was created")
