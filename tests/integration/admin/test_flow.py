"""The pages that draw what sets off what: of a rule, a model, a pack."""

from __future__ import annotations

from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from project.clinic.models import Doctor
from project.shop.models import Order
from rules_engine.models import Rule
from rules_engine.testing import create_rule

pytestmark = pytest.mark.django_db(transaction=True)

ALL = reverse("admin:rules_engine_rules_flow")
LOG = ("log_message", {"message": "x"})
HOSTILE = "<script>alert(1)</script>"


def saving(field: str) -> tuple[str, dict[str, Any]]:
    values = [{"field": field, "value": "1"}]
    where = [{"field": "pk", "value": "1"}]
    return ("update_objects", {"target": "query", "model": "shop.order", "filter": where, "values": values})


def of(rule: Rule) -> str:
    return reverse("admin:rules_engine_rule_flow", args=[rule.pk])


def page(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


@pytest.fixture
def chain() -> tuple[Rule, Rule, Rule]:
    before = create_rule(model=Doctor, slug="before", name="Before", actions=[saving("status")])
    middle = create_rule(
        model=Order, slug="middle", name="Middle", changes=[{"field": "status"}], actions=[saving("discount")]
    )
    after = create_rule(model=Order, slug="after", name="After", changes=[{"field": "discount"}], actions=[LOG])
    return before, middle, after


def test_a_rules_page_leads_to_the_picture_of_it(admin_client: Client, chain: tuple[Rule, ...]) -> None:
    for rule in chain:
        assert of(rule) in page(admin_client, reverse("admin:rules_engine_rule_change", args=[rule.pk]))
        shown = page(admin_client, of(rule))
        assert "<svg" in shown
        assert "The same as a list" in shown


def test_a_rule_is_drawn_between_what_sets_it_off_and_what_it_sets_off(
    admin_client: Client, chain: tuple[Rule, ...]
) -> None:
    create_rule(model=Doctor, slug="other", name="Another", actions=[LOG])
    shown = unescape(page(admin_client, of(chain[1])))
    for rule in chain:
        assert f'id="flow-{rule.slug}"' in shown
        assert f'href="{reverse("admin:rules_engine_rule_change", args=[rule.pk])}"' in shown
    assert 'saves Order (status). That sets off: <a href="#flow-middle">Middle</a>' in shown
    assert "Another" not in shown
    assert f'href="{ALL}?model=shop.order"' in shown


def test_what_sets_a_rule_off_does_not_bring_what_else_that_sets_off(
    admin_client: Client, chain: tuple[Rule, ...]
) -> None:
    create_rule(model=Order, slug="too", name="Set off too", changes=[{"field": "status"}], actions=[LOG])
    assert "Set off too" not in page(admin_client, of(chain[1]))
    assert "Set off too" in page(admin_client, of(chain[0]))


def test_the_list_leads_to_the_picture_of_the_model_it_shows(admin_client: Client, chain: tuple[Rule, ...]) -> None:
    rules = reverse("admin:rules_engine_rule_changelist")
    assert f'href="{ALL}"' in page(admin_client, rules)
    assert f'href="{ALL}?model=shop.order"' in page(admin_client, f"{rules}?model=shop.order")


def test_a_model_is_drawn_with_what_changes_it(admin_client: Client, chain: tuple[Rule, ...]) -> None:
    create_rule(model=Doctor, slug="other", name="Another", actions=[LOG])
    shown = page(admin_client, f"{ALL}?model=shop.order")
    for name in ("Before", "Middle", "After"):
        assert name in shown
    assert "Another" not in shown
    assert '<option value="shop.order" selected>' in shown
    assert "Another" in page(admin_client, ALL)


def test_a_pack_is_drawn_as_its_file_has_it(admin_client: Client) -> None:
    shown = unescape(page(admin_client, f"{ALL}?pack=shop"))
    assert "the pack shop" in shown
    assert "Confirm a new order" in shown
    assert not Rule.objects.exists()


@pytest.mark.parametrize("pack", ["no-such", "../fixtures/shop", "/etc/passwd.json", "shop.json"])
def test_only_packs_of_the_site_are_drawn(admin_client: Client, pack: str) -> None:
    assert admin_client.get(ALL, {"pack": pack}).status_code == 404


@pytest.mark.parametrize("model", ["no.such", HOSTILE, "shop.tag"])
def test_where_nothing_is_to_be_drawn_it_says_so(admin_client: Client, chain: tuple[Rule, ...], model: str) -> None:
    response = admin_client.get(ALL, {"model": model})
    shown = response.content.decode()
    assert "There is nothing to draw" in shown
    assert HOSTILE not in shown


def test_a_rule_that_is_off_is_drawn_on_its_own_page(admin_client: Client, chain: tuple[Rule, ...]) -> None:
    off = create_rule(model=Order, slug="off", name=HOSTILE, enabled=False, actions=[saving("status")])
    shown = page(admin_client, of(off))
    assert "flow-rule flow-off flow-here" in shown
    assert 'href="#flow-middle"' in shown
    assert HOSTILE not in shown
    assert "alert(1)" not in page(admin_client, ALL)


def test_a_picture_takes_as_many_queries_however_many_rules_there_are(admin_client: Client) -> None:
    def queries() -> int:
        page(admin_client, ALL)
        with CaptureQueriesContext(connection) as taken:
            page(admin_client, ALL)
        return len(taken)

    create_rule(model=Order, slug="first", actions=[saving("status")])
    before = queries()
    for number in range(80):
        create_rule(model=Order, slug=f"rule-{number}", changes=[{"field": "status"}], actions=[LOG])
    assert queries() == before
    assert "more rules" in page(admin_client, ALL)


def test_it_takes_the_permission_to_view_rules(staff: Callable[..., Client], chain: tuple[Rule, ...]) -> None:
    client = staff("rules_engine.view_event")
    assert client.get(ALL).status_code == 403
    assert client.get(of(chain[0])).status_code == 403


def test_it_speaks_german(german: Client, chain: tuple[Rule, ...]) -> None:
    shown = unescape(page(german, of(chain[1])))
    for words in ("Was löst was aus", "Dasselbe als Liste", "Das löst aus"):
        assert words in shown
    assert "sets off" not in shown
