"""The sentence on the admin's pages: who is told what, as a form is filled in, and at no cost that grows."""

from __future__ import annotations

import random
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from project.shop.models import Order
from rules_engine.models import Rule, RuleVersion
from rules_engine.testing import create_rule
from tests.factories import make_endpoint
from tests.fuzz.test_admin_forms import rule_form
from tests.integration.admin.conftest import change_url, client_of, make_user, post_data, posted_by_the_page

pytestmark = pytest.mark.django_db(transaction=True)

URL = reverse("admin:rules_engine_rule_sentence")
LIST = reverse("admin:rules_engine_rule_changelist")
LOG = ("log_message", {"message": "x"})


def told(answer: Any) -> str:
    assert answer.status_code == 200
    return "".join(part["text"] for part in answer.json()["parts"])


def test_a_form_is_told_and_nothing_is_saved(admin_client: Client) -> None:
    body = post_data([{"kind": "log_message", "config": '{"message": "Hello"}', "delay": "60"}])
    said = told(admin_client.post(URL, {**body, "model": "shop.order", "operations": ["create"]}))
    assert said == "When an order is created: log “Hello” (1 minute later)."
    assert not Rule.objects.exists()
    assert not RuleVersion.objects.exists()


@pytest.mark.parametrize(
    ("later", "words"),
    [
        ({"asks_again": "on"}, "if it still holds"),
        ({"delay": "7200", "asks_again": "on"}, "2 hours later, if it still holds"),
        ({"at": "18:00"}, "at 18:00"),
        ({"delay": "60", "at": "06:05", "zone": "Asia/Tokyo"}, "1 minute later, at 06:05 in Asia/Tokyo"),
    ],
)
def test_when_an_action_acts_later_is_told(admin_client: Client, later: dict[str, str], words: str) -> None:
    body = post_data([{"kind": "log_message", "config": '{"message": "Hello"}', **later}])
    said = told(admin_client.post(URL, {**body, "model": "shop.order", "operations": ["create"]}))
    assert said == f"When an order is created: log “Hello” ({words})."


def test_what_is_wrong_in_the_form_is_a_gap_and_the_rest_is_told(admin_client: Client) -> None:
    rule = create_rule(Order, slug="r", actions=[LOG], condition={"var": "instance.total"})
    body = posted_by_the_page(admin_client.get(change_url(rule)).content.decode())
    url = f"{URL}?pk={rule.pk}"
    assert told(admin_client.post(url, body)).startswith(
        "When an order is created or updated, only if total is filled in: log “x”."
    )
    wrong = {**body, "condition": "{", "actions-0-config": "[", "actions-0-delay": "many", "position": "x"}
    assert told(admin_client.post(url, wrong)).startswith("When an order is created or updated, only if …: log ….")
    gone = {**body, "actions-0-DELETE": "on"}
    assert "total is filled in: do …." in told(admin_client.post(url, gone))
    assert told(admin_client.post(url, {"model": "shop.order"})).startswith("When an order is …: do …")


def test_the_actions_are_told_in_the_order_of_their_places(admin_client: Client) -> None:
    rows = [{"kind": "log_message", "config": f'{{"message": "{name}"}}', "position": place}
            for name, place in (("second", "5"), ("first", "1"), ("last", ""))]  # fmt: skip
    said = told(admin_client.post(URL, {**post_data(rows), "model": "shop.order"}))
    assert said.endswith("log “first”, then log “second”, then log “last”.")


def test_whatever_is_posted_is_told(admin_client: Client) -> None:
    for number in range(60):
        _url, body = rule_form(random.Random(f"sentence:{number}"))
        assert told(admin_client.post(URL, body))


def test_an_endpoint_goes_by_its_name_for_whoever_may_view_endpoints() -> None:
    make_endpoint("our-chat", name="Our chat")
    rule = create_rule(Order, slug="r", actions=[("webhook", {"endpoint": "our-chat"})])
    known = client_of(make_user("rules_engine.view_rule", "webhooks.view_endpoint"))
    unknown = client_of(make_user("rules_engine.view_rule", name="other"))
    for address in (change_url(rule), LIST):
        assert "call Our chat" in unescape(known.get(address).content.decode())
        page = unescape(unknown.get(address).content.decode())
        assert "call our-chat" in page
        assert "Our chat" not in page


def test_who_may_neither_add_nor_view_rules_is_told_nothing() -> None:
    rule = create_rule(Order, slug="r", actions=[LOG])
    assert client_of(make_user()).post(f"{URL}?pk={rule.pk}").status_code == 403
    viewer = client_of(make_user("rules_engine.view_rule", name="viewer"))
    assert viewer.post(URL).status_code == 403
    # Of a form that they cannot write, viewers are told what is stored.
    assert "log “x”" in told(viewer.post(f"{URL}?pk={rule.pk}", {"model": "shop.product"}))
    assert viewer.post(f"{URL}?pk=999").status_code in (403, 404)


def test_the_page_that_tests_a_rule_tells_it_with_whose_rights_it_acts(admin_client: Client, root: Any) -> None:
    rule = create_rule(Order, slug="r", actions=[LOG], author=root)
    page = unescape(admin_client.get(reverse("admin:rules_engine_rule_test", args=[rule.pk])).content.decode())
    assert "When an order is created or updated: log “x”. It may do what root may do." in page
    assert "It may do what root may do." in told(admin_client.post(f"{URL}?pk={rule.pk}", {}))


def test_the_list_asks_no_more_for_more_endpoints(admin_client: Client) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert admin_client.get(LIST).status_code == 200
        return len(queries)

    for number in range(2):
        create_rule(Order, slug=f"r{number}", actions=[("webhook", {"endpoint": make_endpoint(f"e{number}").slug})])
    few = asked()
    for number in range(2, 9):
        create_rule(Order, slug=f"r{number}", actions=[("webhook", {"endpoint": make_endpoint(f"e{number}").slug})])
    assert asked() == few
