"""What somebody meets who uses the admin for the first time, types what is wrong, and is not alone."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from project.shop.models import Order, Product
from rules_engine.admin.parts.rendering import object_link
from rules_engine.models import Execution, Rule, RuleVersion
from rules_engine.testing import create_rule, run_due
from tests.integration.admin.conftest import ADD, change_url, post_data, posted_by_the_page

pytestmark = pytest.mark.django_db(transaction=True)

LOG = {"message": "Order {{ instance.order_number }}"}
BEYOND = "9" * 26


def page_of(client: Client, address: str, data: Any = None) -> str:
    response = client.get(address, data or {})
    assert response.status_code == 200
    return response.content.decode()


# Two people


def test_whoever_saves_over_another_is_told_and_may_then_overwrite(admin_client: Client) -> None:
    rule = create_rule(Order, slug="two", name="Mine", actions=[("log_message", LOG)])
    address = change_url(rule)
    opened = posted_by_the_page(page_of(admin_client, address))
    assert admin_client.post(address, {**opened, "name": "Theirs"}).status_code == 302
    refused = admin_client.post(address, {**opened, "description": "Written meanwhile"})
    assert refused.status_code == 200
    page = refused.content.decode()
    assert "This rule was changed after you opened this page" in page
    assert f'<a href="{address}" target="_blank">what is stored</a>' in page
    rule.refresh_from_db()
    assert (rule.name, rule.description) == ("Theirs", "")
    again = posted_by_the_page(page)
    assert again["description"] == ["Written meanwhile"]
    assert admin_client.post(address, again).status_code == 302
    rule.refresh_from_db()
    assert (rule.name, rule.description) == ("Mine", "Written meanwhile")


def test_an_action_that_another_changed_counts_as_a_change_of_the_rule(admin_client: Client) -> None:
    rule = create_rule(Order, slug="two", actions=[("log_message", LOG)])
    opened = posted_by_the_page(page_of(admin_client, change_url(rule)))
    rule.actions.update(config={"message": "Another text"})
    refused = admin_client.post(change_url(rule), opened)
    assert "This rule was changed after you opened this page" in refused.content.decode()
    assert rule.actions.get().config == {"message": "Another text"}


def test_a_page_is_saved_again_and_again_while_nobody_else_saves(admin_client: Client) -> None:
    rule = create_rule(Order, slug="alone", actions=[("log_message", LOG)])
    for name in ("First", "Second"):
        opened = posted_by_the_page(page_of(admin_client, change_url(rule)))
        assert admin_client.post(change_url(rule), {**opened, "name": name}).status_code == 302
    rule.refresh_from_db()
    assert rule.name == "Second"


# What is wrong, said once and where it is


def test_a_blank_rule_is_told_what_to_tick_and_sections_stay_folded(admin_client: Client) -> None:
    page = admin_client.post(reverse(ADD), {**post_data(), "name": "", "signals": []}).content.decode()
    assert "Tick at least one.</li>" in page
    assert "post_save." not in page
    shut = '<details class="rules-few-need">'
    assert shut in page
    for date in ("active_from", "active_until"):
        assert f'name="{date}_0"' in page
    typed = {**post_data(), "name": "", "active_from_0": "2031-01-01", "active_from_1": ""}
    opened = admin_client.post(reverse(ADD), typed).content.decode()
    assert opened.count(shut) == page.count(shut) - 1


def test_what_is_missing_is_said_once(admin_client: Client) -> None:
    recording = admin_client.post(reverse("admin:rules_engine_recording_add"), {"model": "", "hours": "1"})
    assert recording.context_data["adminform"].form.errors == {"model": ["This field is required."]}  # type: ignore[attr-defined]


def test_switching_on_what_is_on_says_that_nothing_was_changed(admin_client: Client) -> None:
    rule = create_rule(Order, slug="on", actions=[("log_message", LOG)])
    data = {"action": "enable", "_selected_action": [str(rule.pk)]}
    page = admin_client.post(reverse("admin:rules_engine_rule_changelist"), data, follow=True).content.decode()
    assert "Nothing was changed: all of them are so already." in page


# Words


def test_a_rules_page_says_to_what_a_field_changes_and_counts_one(admin_client: Client) -> None:
    changes = [{"field": "status", "to": "paid"}, {"field": "total"}]
    rule = create_rule(Order, slug="words", changes=changes, operations=["update"], actions=[("log_message", LOG)])
    order = Order.objects.create(order_number="1", total=1)
    order.status, order.total = "paid", 2
    order.save()
    page = page_of(admin_client, change_url(rule))
    assert "When an order is updated, its status becomes Paid and its total changes: " in page
    assert "In the last 24 hours it acted on 1 event." in page
    assert "0 executions failed." in page


def test_an_execution_and_a_version_name_their_author_and_action_in_words(admin_client: Client, root: Any) -> None:
    create_rule(Order, slug="named", name="Named in words", author=root, actions=[("log_message", LOG)])
    Order.objects.create(order_number="1")
    run_due()
    execution = Execution.objects.get()
    page = page_of(admin_client, reverse("admin:rules_engine_execution_change", args=[execution.pk]))
    assert '<div class="readonly">root</div>' in page
    assert '<div class="readonly">Write a log message</div>' in page
    assert "Named in words" in page_of(admin_client, reverse("admin:rules_engine_execution_changelist"))
    assert 'field-author_shown">root</td>' in page_of(
        admin_client, reverse("admin:rules_engine_ruleversion_changelist")
    )
    RuleVersion.objects.update(author_id="987654")
    assert 'field-author_shown">987654</td>' in page_of(
        admin_client, reverse("admin:rules_engine_ruleversion_changelist")
    )
    assert ">Write a log message<" in page_of(admin_client, reverse("admin:rules_engine_overview"))


def test_an_executions_rule_is_called_by_its_slug_once_it_is_gone(admin_client: Client) -> None:
    rule = create_rule(Order, slug="gone-by-now", name="Not for long", actions=[("log_message", LOG)])
    Order.objects.create(order_number="1")
    rule.delete()
    page = page_of(admin_client, reverse("admin:rules_engine_execution_changelist"))
    assert "gone-by-now" in page
    assert "Not for long" not in page


# Addresses and keys that nobody means


@pytest.mark.parametrize("asked", [{"created_at__year": BEYOND}, {"created_at__year": "10000"}, {"pk__in": BEYOND}])
@pytest.mark.parametrize("name", ["execution", "pause", "event", "rule", "recording", "auditentry", "heldmatch"])
def test_a_list_stands_numbers_that_no_column_takes(admin_client: Client, name: str, asked: dict[str, str]) -> None:
    address = reverse(f"admin:rules_engine_{name}_changelist")
    response = admin_client.get(address, asked, follow=True)
    assert response.status_code in (200, 400)
    assert admin_client.get(address, {"q": BEYOND}).status_code == 200


@pytest.mark.parametrize(("page", "name"), [("pause", "until"), ("rule", "active_from"), ("recording", "until")])
def test_a_time_in_the_address_of_a_form_that_is_none_leaves_it_empty(
    admin_client: Client, page: str, name: str
) -> None:
    assert "abc" not in page_of(admin_client, reverse(f"admin:rules_engine_{page}_add"), {name: "abc"})


@pytest.mark.parametrize("keys", ["²", "1" * 5_000, "3, x"])
def test_keys_that_are_made_up_for_a_test_may_be_any_text(admin_client: Client, keys: str) -> None:
    rule = create_rule(Product, slug="tags", signals=["m2m_changed"], actions=[("log_message", {"message": "x"})])
    product = Product.objects.create(name="Pen", price=1)
    data = {"pk": str(product.pk), "signal": "m2m_changed", "operation": "add", "relation": "tags", "others": keys}
    data |= {"changes-TOTAL_FORMS": "0", "changes-INITIAL_FORMS": "0"}
    response = admin_client.post(reverse("admin:rules_engine_rule_test", args=[rule.pk]), data)
    assert "The rule would act." in response.content.decode()


def test_a_key_with_an_underscore_leads_to_its_own_object() -> None:
    assert "a_5F41/change/" in object_link("shop.order", "a_41")


def test_a_rule_that_two_people_have_open_can_still_be_run_over_events(admin_client: Client) -> None:
    rule = create_rule(Order, slug="run", actions=[("log_message", LOG)])
    opened = posted_by_the_page(page_of(admin_client, change_url(rule)))
    address = reverse("admin:rules_engine_rule_backtest", args=[rule.pk])
    assert "It would have acted on" in admin_client.post(address, opened).content.decode()
    Rule.objects.filter(pk=rule.pk).update(name="Theirs")
    assert "This rule was changed after you opened this page" in admin_client.post(address, opened).content.decode()


@pytest.mark.parametrize("key", ["abc", BEYOND, "\x00", ""])
@pytest.mark.parametrize(
    ("name", "action"), [("rule", "delete_selected"), ("pause", "delete_selected"), ("execution", "retry_selected")]
)
def test_an_action_on_rows_that_cannot_be_does_nothing_and_says_so(
    admin_client: Client, name: str, action: str, key: str
) -> None:
    rule = create_rule(Order, slug="stays", actions=[("log_message", LOG)])
    address = reverse(f"admin:rules_engine_{name}_changelist")
    response = admin_client.post(address, {"action": action, "_selected_action": [key]}, follow=True)
    assert "Nothing was done: choose rows of this list." in response.content.decode()
    assert Rule.objects.filter(pk=rule.pk).exists()


def test_what_was_not_recorded_of_an_event_is_called_by_its_title(admin_client: Client) -> None:
    create_rule(Order, slug="any", actions=[("log_message", LOG)])
    items = {"some": [{"var": "instance.items"}, {">": [{"var": "quantity"}, 2]}]}
    rule = create_rule(Order, slug="items", condition=items, enabled=False, actions=[("log_message", LOG)])
    Order.objects.create(order_number="1")
    page = page_of(admin_client, reverse("admin:rules_engine_rule_backtest", args=[rule.pk]))
    assert "not recorded: Order items" in page
