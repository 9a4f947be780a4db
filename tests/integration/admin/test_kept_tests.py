"""The tests of a rule in the admin: kept with a click, told in words, and run before the rule is switched on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from project.shop.models import Order
from rules_engine.models import Event, Rule, RuleTest
from rules_engine.testing import create_rule
from tests.factories import make_order
from tests.integration.admin.conftest import change_url, client_of, make_user, posted_by_the_page

pytestmark = pytest.mark.django_db(transaction=True)
LOG = ("log_message", {"message": "Order {{ instance.order_number }}", "level": "info"})


def paid_rule(**fields: Any) -> Rule:
    given = {"slug": "paid", "changes": [{"field": "status", "to": "paid"}], "actions": [LOG], **fields}
    return create_rule("shop.order", **given)


def pay_order(**fields: Any) -> Event:
    order = make_order(status="draft", **fields)
    order.status = "paid"
    order.save()
    return Event.objects.latest("created_at")


def address_of(rule: Rule) -> str:
    return reverse("admin:rules_engine_rule_tests", args=[rule.pk])


def keep(client: Client, rule: Rule, event: Event) -> RuleTest:
    client.post(f"{address_of(rule)}?event={event.pk}")
    return RuleTest.objects.latest("pk")


def posted_of(response: Any) -> dict[str, Any]:
    """What a browser posts of the page's own forms as they are."""
    form, rows = response.context["form"], response.context.get("rows")
    bound = [*form, *(field for row in rows or () for field in row), *(rows.management_form if rows else ())]
    return {field.html_name: value for field in bound if (value := field.value()) is not None}


def failing_rule(client: Client, **fields: Any) -> Rule:
    """A rule that is off and has a test that fails, since it is no longer paid that it waits for."""
    rule = paid_rule(**fields)
    keep(client, rule, pay_order(order_number="SECRET-7"))
    Rule.objects.filter(pk=rule.pk).update(enabled=False, changes=[{"field": "status", "to": "shipped"}])
    rule.refresh_from_db()
    return rule


def test_a_recorded_event_is_kept_with_one_click(admin_client: Client) -> None:
    rule, event = paid_rule(), pay_order(order_number="A-77")
    page = admin_client.get(reverse("admin:rules_engine_event_change", args=[event.pk])).content.decode()
    address = f"{address_of(rule)}?event={event.pk}"
    assert f'formaction="{address}"' in page
    shown = admin_client.post(address, follow=True).content.decode()
    assert f"The event is kept as the test “Order {event.object_pk}: updated”." in shown
    assert "1 test, and it passes." in shown
    assert "Expected: it acts." in shown
    assert "Message: “Order A-77”" in shown
    assert "Kept the test" in LogEntry.objects.latest("pk").change_message


def test_what_was_tested_is_kept_under_a_name(admin_client: Client) -> None:
    rule, order = paid_rule(), make_order(order_number="A-8", status="draft")
    url = reverse("admin:rules_engine_rule_test", args=[rule.pk])
    page = admin_client.get(url)
    data = {**posted_of(page), "latest": str(order.pk), "signal": "post_save", "operation": "update"}
    assert "Keep as a test" in admin_client.post(url, data).content.decode()
    assert not RuleTest.objects.exists()
    admin_client.post(url, {**data, "_keep": "1", "keep_name": "As I like it"})
    test = RuleTest.objects.get()
    assert (test.name, test.expected["outcome"]) == ("As I like it", "acts")
    assert test.expected["actions"][0]["settings"]["message"] == "Order A-8"
    assert Order.objects.get().status == "draft"
    assert "it passes" in admin_client.get(address_of(rule)).content.decode()


def test_a_pasted_context_is_kept_too(admin_client: Client) -> None:
    rule = paid_rule()
    url = reverse("admin:rules_engine_rule_test", args=[rule.pk])
    context = '{"instance": {"pk": 1, "order_number": "X"}, "changes": {"status": {"old": "draft", "new": "paid"}}, '
    context += '"changed": ["status"]}'
    data = {**posted_of(admin_client.get(url)), "context": context, "signal": "post_save", "_keep": "1"}
    admin_client.post(url, data)
    assert RuleTest.objects.get().expected["outcome"] == "acts"


def test_a_test_that_fails_says_how_and_can_be_renewed(admin_client: Client) -> None:
    rule = failing_rule(admin_client)
    shown = admin_client.get(address_of(rule)).content.decode()
    assert "1 of 1 tests fails." in shown
    assert "Expected: it acts. Now: it stops at &quot;The fields that changed&quot;. status did not change" in shown
    shown = admin_client.post(address_of(rule), {"renew": RuleTest.objects.get().pk}, follow=True).content.decode()
    assert "expects what the rule does now" in shown
    assert RuleTest.objects.get().expected == {"outcome": "stops", "gate": "changes"}


def test_a_test_is_edited_and_removed(admin_client: Client) -> None:
    rule = failing_rule(admin_client)
    test = RuleTest.objects.get()
    url = reverse("admin:rules_engine_rule_edit_test", args=[rule.pk, test.pk])
    data = {**posted_of(admin_client.get(url)), "name": "Renamed", "expected": '{"outcome": "flies"}'}
    data |= {"occurred_at": "2031-05-06 12:00:00", "context": json.dumps(test.context)}
    assert "Expected one of acts, waits, stops." in admin_client.post(url, data).content.decode()
    admin_client.post(url, {**data, "expected": '{"outcome": "stops"}'})
    test.refresh_from_db()
    assert (test.name, test.expected) == ("Renamed", {"outcome": "stops"})
    assert (
        "The test “Renamed” was removed."
        in admin_client.post(address_of(rule), {"remove": test.pk}, follow=True).content.decode()
    )
    assert not RuleTest.objects.exists()


def test_a_rule_whose_tests_fail_is_switched_on_only_by_decision(admin_client: Client) -> None:
    rule = failing_rule(admin_client)
    url = reverse("admin:rules_engine_rule_switch_on", args=[rule.pk])
    refused = admin_client.post(url)
    assert refused.status_code == 409
    assert "its tests fail" in refused.content.decode()
    assert "Expected: it acts." in refused.content.decode()
    assert not Rule.objects.get().enabled
    admin_client.post(url, {"all_the_same": "1"})
    assert Rule.objects.get().enabled
    assert LogEntry.objects.latest("pk").change_message.startswith("Enabled. Tests that fail: “Order ")


def test_several_rules_are_switched_on_but_for_those_whose_tests_fail(admin_client: Client) -> None:
    broken, whole = failing_rule(admin_client), paid_rule(slug="whole", enabled=False)
    data = {"action": "enable", "_selected_action": [broken.pk, whole.pk]}
    shown = admin_client.post(reverse("admin:rules_engine_rule_changelist"), data, follow=True).content.decode()
    assert "Its own page switches it on all the same." in shown
    assert list(Rule.objects.filter(enabled=True)) == [whole]


def test_the_switch_asks_again_with_what_it_was_to_do(admin_client: Client) -> None:
    rule = failing_rule(admin_client)
    url = reverse("admin:rules_engine_rule_switch", args=[rule.pk])
    asked = admin_client.post(url, {"to": "on"}).content.decode()
    assert f'action="{url}"' in asked
    assert '<input type="hidden" name="to" value="on">' in asked
    admin_client.post(url, {"to": "shadow"})
    assert Rule.objects.get().shadow
    assert admin_client.post(reverse("admin:rules_engine_rule_promote", args=[rule.pk])).status_code == 409
    admin_client.post(url, {"to": "on", "all_the_same": "1"})
    assert (Rule.objects.get().enabled, Rule.objects.get().shadow) == (True, False)


def test_a_rule_that_is_on_is_saved_with_a_warning(admin_client: Client) -> None:
    rule = failing_rule(admin_client)
    Rule.objects.update(enabled=True)
    data = posted_by_the_page(admin_client.get(change_url(rule)).content.decode())
    shown = admin_client.post(change_url(rule), {**data, "name": "New name"}, follow=True).content.decode()
    assert Rule.objects.get().name == "New name"
    assert "Tests that fail: “Order" in shown


def test_the_rules_own_page_leads_to_its_tests(admin_client: Client) -> None:
    rule = failing_rule(admin_client)
    page = admin_client.get(change_url(rule)).content.decode()
    assert "Tests that fail: “Order" in page
    assert address_of(rule) in page


VIEWER = ("rules_engine.view_rule", "rules_engine.view_event", "rules_engine.test_rule", "shop.view_order")


def test_who_may_not_test_keeps_nothing(admin_client: Client) -> None:
    rule, event = paid_rule(), pay_order()
    for permission in ("rules_engine.test_rule", "rules_engine.view_rule", "rules_engine.view_event"):
        client = client_of(make_user(*(one for one in VIEWER if one != permission), name=permission))
        assert client.post(f"{address_of(rule)}?event={event.pk}").status_code == 403
    assert not RuleTest.objects.exists()


def test_who_may_not_view_the_object_sees_no_sample(admin_client: Client) -> None:
    rule = failing_rule(admin_client)
    event = Event.objects.get()
    client = client_of(make_user(*VIEWER[:3]))
    assert client.get(address_of(rule)).status_code == 403
    assert client.post(f"{address_of(rule)}?event={event.pk}").status_code == 403
    page = client.get(reverse("admin:rules_engine_event_change", args=[event.pk])).content.decode()
    assert "Keep as a test" not in page
    edit = reverse("admin:rules_engine_rule_edit_test", args=[rule.pk, RuleTest.objects.get().pk])
    assert client.get(edit).status_code == 403


def test_a_test_of_another_rule_is_not_there(admin_client: Client) -> None:
    rule, other = failing_rule(admin_client), paid_rule(slug="other")
    test = RuleTest.objects.get()
    assert admin_client.get(reverse("admin:rules_engine_rule_edit_test", args=[other.pk, test.pk])).status_code == 404
    for data in ({"renew": test.pk}, {"remove": test.pk}, {"remove": "x"}, {}):
        assert admin_client.post(address_of(other), data).status_code == 404
    assert RuleTest.objects.get().rule == rule


def test_no_test_is_made_of_an_event_that_the_rule_does_not_hear(admin_client: Client) -> None:
    paid_rule()
    event, deaf = pay_order(), create_rule("shop.order", signals=("post_delete",), slug="deaf")
    shown = admin_client.post(f"{address_of(deaf)}?event={event.pk}", follow=True).content.decode()
    assert "The rule does not listen to what this event tells of." in shown
    for key in ("nonsense", "01a2282d-1b65-7000-84f5-383e4c3374b0"):
        assert admin_client.post(f"{address_of(deaf)}?event={key}").status_code == 404
    assert not RuleTest.objects.exists()


def test_names_of_tests_do_not_clash(admin_client: Client) -> None:
    rule, event = paid_rule(), pay_order()
    names = [keep(admin_client, rule, event).name.partition(": ")[2] for _ in range(3)]
    assert names == ["updated", "updated (2)", "updated (3)"]


def test_the_tests_are_told_in_german(admin_client: Client, german: Client) -> None:
    shown = german.get(address_of(failing_rule(admin_client))).content.decode()
    assert "Erwartet: sie handelt. Jetzt: sie wird aufgehalten von:" in shown


def test_tests_go_along_with_an_export_to_who_may_see_their_samples(admin_client: Client) -> None:
    rule = failing_rule(admin_client)
    data, url = {"action": "export", "_selected_action": [rule.pk]}, reverse("admin:rules_engine_rule_changelist")
    assert "SECRET-7" in admin_client.post(url, data).content.decode()
    viewer = client_of(make_user("rules_engine.view_rule", "rules_engine.test_rule"))
    pack = viewer.post(url, data).content.decode()
    assert "rules_engine.rule" in pack
    assert "ruletest" not in pack


def test_a_test_whose_context_is_none_is_not_kept_so(admin_client: Client) -> None:
    rule = failing_rule(admin_client)
    test = RuleTest.objects.get()
    url = reverse("admin:rules_engine_rule_edit_test", args=[rule.pk, test.pk])
    data = {**posted_of(admin_client.get(url)), "expected": '{"outcome": "acts"}', "occurred_at": "2031-05-06 12:00:00"}
    page = admin_client.post(url, {**data, "context": "[1]"}).content.decode()
    assert "Expected an object, such as" in page
    page = admin_client.post(url, {**data, "context": '{"instance": 3}'}).content.decode()
    assert "/instance" in page
    before = test.context
    test.refresh_from_db()
    assert test.context == before


def test_what_a_test_expects_is_shown_where_it_cannot_be_read(admin_client: Client) -> None:
    # As a row that another program wrote may be: the page is there to mend it.
    rule = failing_rule(admin_client)
    RuleTest.objects.update(expected={"outcome": ["flies"]})
    shown = admin_client.get(address_of(rule)).content.decode()
    assert "What it expects cannot be read; edit it." in shown
