"""Rules run over recorded events: what they would have done, what else than before, and what cannot be said."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from project.shop.models import Order
from rules_engine.logic import jsonlogic
from rules_engine.models import Event, Execution, Recording, Rule
from rules_engine.test import backtest
from rules_engine.testing import create_rule, refresh
from rules_engine.types import RuleSpec
from tests.integration.admin.conftest import change_url, posted_by_the_page

pytestmark = pytest.mark.django_db(transaction=True)

LOG = ("log_message", {"message": "x"})


def over(amount: int) -> Any:
    return {">": [{"var": "instance.total"}, amount]}


def url(rule: Rule) -> str:
    return reverse("admin:rules_engine_rule_backtest", args=[rule.pk])


def posted(client: Client, rule: Rule) -> dict[str, Any]:
    return posted_by_the_page(client.get(change_url(rule)).content.decode())


def words(page: bytes) -> str:
    return re.sub(r"\s+", " ", unescape(strip_tags(page.decode().replace("<", " <"))))


def record(model: str = "shop.order") -> None:
    Recording.objects.create(model=model, until=timezone.now() + timedelta(hours=1))
    refresh()


def orders(*totals: int) -> None:
    for number, total in enumerate(totals):
        Order.objects.create(order_number=f"N{number}-{total}", total=total)


def run(spec: RuleSpec, most: int = 100, baseline: Any = None) -> backtest.Result:
    return backtest.run(spec, baseline or backtest.AsItWas(spec.slug), timezone.now() - timedelta(days=1), most)


def test_the_saved_rule_is_told_beside_what_it_did(admin_client: Client) -> None:
    record()
    orders(50, 150, 250)
    rule = create_rule(Order, operations=["create"], condition=over(100), actions=[LOG])
    orders(350)
    page = words(admin_client.get(url(rule)).content)
    assert "It would have acted on 3 of 4 events." in page
    assert "1 stopped at: Its condition" in page
    assert "2 more than before" in page
    assert "0 no longer" in page
    assert Execution.objects.count() == 1


def test_an_edited_rule_is_told_beside_the_saved_one_and_is_not_saved(admin_client: Client) -> None:
    record()
    rule = create_rule(Order, operations=["create"], condition=over(100), actions=[LOG])
    orders(50, 150, 250)
    before = Event.objects.count(), Execution.objects.count()
    data = posted(admin_client, rule) | {"condition": '{"<": [{"var": "instance.total"}, 200]}'}
    page = words(admin_client.post(url(rule), data).content)
    assert "It would have acted on 2 of 3 events." in page
    assert "Would act on, and did not: 1" in page
    assert "Acted on, and would no longer: 1" in page
    rule.refresh_from_db()
    assert rule.condition == over(100)
    assert (Event.objects.count(), Execution.objects.count()) == before


def test_an_edited_rule_can_be_saved_from_there(admin_client: Client) -> None:
    rule = create_rule(Order, condition=over(100), actions=[LOG])
    data = posted(admin_client, rule) | {"condition": '{">": [{"var": "instance.total"}, 7]}'}
    page = admin_client.post(url(rule), data).content.decode()
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page))
    kept = {name: unescape(value) for name, value in hidden.items() if name != "csrfmiddlewaretoken"}
    answer = admin_client.post(reverse("admin:rules_engine_rule_change", args=[rule.pk]), {**kept, "_save": "1"})
    assert answer.status_code == 302
    rule.refresh_from_db()
    assert rule.condition == over(7)


def test_what_is_wrong_with_an_edited_rule_is_said_in_its_form(admin_client: Client) -> None:
    rule = create_rule(Order, condition=over(100), actions=[LOG])
    data = posted(admin_client, rule) | {"condition": '{">": [{"var": "instance.totl"}, 7]}'}
    page = words(admin_client.post(url(rule), data).content)
    assert 'Did you mean "total"?' in page
    rule.refresh_from_db()
    assert rule.condition == over(100)


def test_an_event_that_did_not_store_what_the_rule_reads_is_no_verdict() -> None:
    create_rule(Order, actions=[("log_message", {"message": "{{ instance.order_number }}"})])
    orders(500)
    result = run(RuleSpec(slug="new", model="shop.order", signals=("post_save",), condition=over(100)))
    assert (result.tried, result.fired.count, result.not_recorded, result.incomparable) == (1, 0, 1, 1)
    assert result.missing == {"instance.total": 1}
    assert not result.newly.count


def test_whether_a_field_changed_is_known_where_its_value_was_stored() -> None:
    changes = ({"field": "status", "to": "paid"},)
    spec = RuleSpec(slug="new", model="shop.order", signals=("post_save",), changes=changes)
    create_rule(Order, actions=[("log_message", {"message": "{{ instance.total }}"})])
    made = Order.objects.create(order_number="A", status="paid")
    made.save()
    assert run(spec).not_recorded == 2
    record()
    Order.objects.create(order_number="B", status="paid")
    made.status = "draft"
    made.save()
    made.status = "paid"
    made.save()
    result = run(spec)
    assert (result.fired.count, result.not_recorded) == (2, 2)
    assert result.stopped == {"changes": 1}


def test_related_rows_count_as_recorded_only_where_they_were_read() -> None:
    some = {"some": [{"var": "instance.items"}, {">": [{"var": "quantity"}, 2]}]}
    spec = RuleSpec(slug="new", model="shop.order", signals=("post_save",), condition=some)
    record()
    orders(5)
    assert run(spec).missing == {"instance.items": 1}
    create_rule(Order, condition=some, enabled=False, actions=[LOG])
    orders(6)
    result = run(spec)
    assert (result.stopped["condition"], result.not_recorded) == (1, 1)


def test_only_the_newest_events_are_looked_at_and_that_is_said() -> None:
    record()
    orders(1, 2, 3)
    result = run(RuleSpec(slug="new", model="shop.order", signals=("post_save",), condition=over(2)), most=2)
    assert (result.tried, result.is_cut, result.fired.count) == (2, True, 1)


def test_it_takes_permissions_to_test_view_and_for_edits_to_change(
    staff: Callable[..., Client],
) -> None:
    rule = create_rule(Order, condition=over(100), actions=[LOG])
    client = staff("rules_engine.view_rule", "rules_engine.test_rule", "shop.view_order")
    assert client.get(url(rule)).status_code == 200
    assert client.post(url(rule), {}).status_code == 403


def test_without_the_permission_to_view_its_model_a_rule_is_not_run(staff: Callable[..., Client]) -> None:
    rule = create_rule(Order, condition=over(100), actions=[LOG])
    assert staff("rules_engine.view_rule", "rules_engine.test_rule").get(url(rule)).status_code == 403


def test_however_many_events_there_are_no_condition_is_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*args: Any) -> None:
        raise AssertionError("A trace takes a hundred times as long as an evaluation, and nobody sees it here.")

    record()
    orders(50, 150)
    monkeypatch.setattr(jsonlogic, "trace", slow)
    result = run(RuleSpec(slug="new", model="shop.order", signals=("post_save",), condition=over(100)))
    assert (result.fired.count, result.stopped["condition"]) == (1, 1)
