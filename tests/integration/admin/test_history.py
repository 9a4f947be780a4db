"""A rule's versions: what each changed, the way back; shadow mode and its end; rules on an object's own page."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils.html import strip_tags

from project.clinic.models import Doctor
from project.shop.models import Order
from rules_engine.models import Event, Execution, Rule, RuleVersion
from rules_engine.testing import create_rule, refresh, run_due
from tests.integration.admin.conftest import client_of, make_user

pytestmark = pytest.mark.django_db(transaction=True)

MAIL = ("send_email", {"to": ["stock@example.com"], "subject": "Order {{ instance.order_number }}", "body": "Pack it."})
LOG = ("log_message", {"message": "x"})


def words(page: bytes) -> str:
    return re.sub(r"\s+", " ", unescape(strip_tags(page.decode().replace("<", " <"))))


def url(name: str, rule: Rule, *more: Any) -> str:
    return reverse(f"admin:rules_engine_rule_{name}", args=[rule.pk, *more])


def edited(rule: Rule) -> Rule:
    """A second version, with another condition, another text and an action more."""
    rule.condition = {">": [{"var": "instance.total"}, 100]}
    rule.save()
    action = rule.actions.get()
    action.config = {"message": "y"}
    action.save()
    rule.actions.create(kind="log_message", config={"message": "z"}, position=1)
    refresh()
    return rule


def test_versions_say_what_each_changed(admin_client: Client) -> None:
    rule = edited(create_rule(Order, actions=[LOG]))
    page = words(admin_client.get(url("versions", rule)).content)
    assert "Version 2, first used" in page
    assert "When an order is created or updated, only if total is more than 100: log “y”, then log “z”." in page
    assert "Only if none total is more than 100" in page
    assert "Action 1, Message x y" in page
    assert "Action 2 none log “z”" in page
    assert '+ ">": [' in page
    assert '- "message": "x"' in page
    assert '+ "message": "y"' in page
    assert "actions/1/kind + log_message" in page


def test_a_version_is_told_with_who_wrote_it(admin_client: Client, root: Any) -> None:
    rule = create_rule(Order, actions=[LOG], author=root)
    rule.shadow = True
    rule.save()
    refresh()
    page = words(admin_client.get(url("versions", rule)).content)
    assert "Version 2 by root, first used" in page
    assert "Shadow no yes" in page
    version = RuleVersion.objects.order_by("-number")[0]
    page = words(admin_client.get(reverse("admin:rules_engine_ruleversion_change", args=[version.pk])).content)
    assert "When an order is created or updated: log “x”. It only records what it would do." in page


def test_a_version_is_restored_as_a_new_edit_by_its_restorer(admin_client: Client, root: Any) -> None:
    rule = edited(create_rule(Order, actions=[LOG]))
    number = RuleVersion.objects.order_by("number")[0].number
    admin_client.post(url("restore", rule, number))
    rule = Rule.objects.get()
    assert rule.condition is None
    assert [action.config for action in rule.actions.all()] == [{"message": "x"}]
    assert rule.author == root
    assert RuleVersion.objects.count() >= 3
    assert "version 1" in LogEntry.objects.latest("pk").change_message


def test_a_restored_version_can_do_no_more_than_its_restorer(staff: Callable[..., Client]) -> None:
    rule = edited(create_rule(Order, condition={"==": [{"var": "instance.status"}, "paid"]}, actions=[LOG]))
    client = staff("rules_engine.view_rule", "rules_engine.change_rule", "rules_engine.enable_rule")
    page = client.post(url("restore", rule, 1), follow=True).content
    assert "you lack the permission shop.view_order" in words(page)
    rule.refresh_from_db()
    assert rule.condition == {">": [{"var": "instance.total"}, 100]}


def test_a_version_that_no_longer_works_is_not_restored(admin_client: Client) -> None:
    rule = edited(create_rule(Order, actions=[LOG]))
    old = RuleVersion.objects.order_by("number")[0]
    RuleVersion.objects.filter(pk=old.pk).update(content={**old.content, "condition": {"var": "instance.gone"}})
    page = words(admin_client.post(url("restore", rule, old.number), follow=True).content)
    assert "does not work any more" in page
    assert Rule.objects.get().condition == {">": [{"var": "instance.total"}, 100]}


def test_a_look_at_a_version_takes_view_and_a_return_takes_change(staff: Callable[..., Client]) -> None:
    rule = edited(create_rule(Order, actions=[LOG]))
    client = staff("rules_engine.view_rule")
    assert client.get(url("versions", rule)).status_code == 200
    assert client.post(url("restore", rule, 1)).status_code == 403
    assert client.get(url("restore", rule, 1)).status_code == 405


def test_a_rule_in_shadow_shows_what_it_would_have_done_and_does_nothing(admin_client: Client) -> None:
    rule = create_rule(Order, actions=[MAIL], shadow=True)
    Order.objects.create(order_number="S1")
    run_due()
    page = words(admin_client.get(url("shadow", rule)).content)
    assert "It matched 1 recorded event without acting." in page
    assert "Subject Order S1" in page
    assert "stock@example.com" in page
    assert not mail.outbox
    assert not Execution.objects.exists()


def test_one_click_promotes_a_rule_and_is_logged(admin_client: Client) -> None:
    rule = create_rule(Order, actions=[LOG], shadow=True)
    assert admin_client.get(url("promote", rule)).status_code == 405
    admin_client.post(url("promote", rule))
    Order.objects.create(order_number="S1")
    assert run_due() == 1
    assert "Promoted" in LogEntry.objects.latest("pk").change_message


def test_to_promote_takes_the_right_to_enable_and_what_the_rule_takes() -> None:
    rule = create_rule(Order, condition={"==": [{"var": "instance.status"}, "paid"]}, actions=[LOG], shadow=True)
    changer = client_of(make_user("rules_engine.view_rule", "rules_engine.change_rule", "shop.view_order", name="a"))
    assert changer.post(url("promote", rule)).status_code == 403
    enabler = client_of(make_user("rules_engine.view_rule", "rules_engine.enable_rule", name="b"))
    enabler.post(url("promote", rule))
    rule.refresh_from_db()
    assert rule.shadow
    both = client_of(make_user("rules_engine.view_rule", "rules_engine.enable_rule", "shop.view_order", name="c"))
    both.post(url("promote", rule))
    rule.refresh_from_db()
    assert not rule.shadow


def test_an_objects_own_page_names_rules_that_watch_it_and_their_deeds(admin_client: Client) -> None:
    create_rule(Order, name="Tell the stock", actions=[("log_message", {"message": "Hello {{ instance.pk }}"})])
    create_rule(Doctor, name="Of doctors", actions=[LOG])
    made = Order.objects.create(order_number="A1")
    Order.objects.create(order_number="A2")
    run_due()
    page = words(admin_client.get(reverse("admin:shop_order_change", args=[made.pk])).content)
    assert "They watch it: Tell the stock" in page
    assert "Of doctors" not in page
    assert page.count("Order was created acted Tell the stock Write a log message at") == 1
    assert f"Logged: Hello {made.pk}" in page
    doctor = Doctor.objects.create(first_name="Ada", last_name="B", email="a@example.com")
    page = words(admin_client.get(reverse("admin:clinic_doctor_change", args=[doctor.pk])).content)
    assert "They watch it: Of doctors" in page
    Rule.objects.bulk_create(Rule(slug=f"more-{n}", model="clinic.doctor", signals=["post_save"]) for n in range(22))
    page = words(admin_client.get(reverse("admin:clinic_doctor_change", args=[doctor.pk])).content)
    assert "and 3 more rules" in page


def test_an_objects_own_page_hides_rules_from_who_may_not_view_them(staff: Callable[..., Client]) -> None:
    create_rule(Order, name="Tell the stock", actions=[LOG])
    made = Order.objects.create(order_number="A1")
    page = staff("shop.view_order").get(reverse("admin:shop_order_change", args=[made.pk]))
    assert page.status_code == 200
    assert "Tell the stock" not in words(page.content)
    assert Event.objects.count() == 1
