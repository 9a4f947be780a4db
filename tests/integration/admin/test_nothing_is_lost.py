"""Every rule that is shipped, and odd ones, are posted back as their form draws them: nothing is changed by that."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from rules_engine.models import Rule
from rules_engine.testing import create_rule, refresh
from tests.factories import make_endpoint
from tests.integration.admin.conftest import change_url, posted_by_the_page
from tests.integration.admin.test_sections import dump
from tests.zoo.models import Animal

pytestmark = pytest.mark.django_db(transaction=True)

LOG: Any = ("log_message", {"message": "x"})
THROTTLE = {"throttle_count": 3, "throttle_seconds": 5400}
ODD: dict[str, dict[str, Any]] = {
    "spaces": {**THROTTLE, "throttle_by": "  {{instance.keeper_id}}\r\n"},
    "two values": {**THROTTLE, "throttle_by": "{{ instance.keeper_id }}-{{ instance.legs }}"},
    "a filter": {**THROTTLE, "throttle_by": "{{ instance.name|lower }}"},
    "a condition": {**THROTTLE, "throttle_by": "{% if created %}new{% else %}{{ actor.id }}{% endif %}"},
    "a constant": {**THROTTLE, "throttle_by": "name"},
    "the word of a choice": {"coalesce_seconds": 61, "coalesce_by": "own"},
    "all together": {"coalesce_seconds": 2_592_000, "coalesce_by": "all", "debounce": True},
    "one transaction": {"coalesce_seconds": 0, "coalesce_by": "{{ instance.keeper_id }}"},
    "the largest number": {"throttle_count": 2_147_483_647, "throttle_seconds": 2_147_483_647},
    "once": {"once": True, "raw": True, "sample_percent": 1},
}
ROWS: dict[str, dict[str, Any]] = {
    "a delay in seconds": {"delay": 3601},
    "the longest delay": {"delay": 2_592_000, "on_failure": "stop"},
    "a relation": {"for_each": "instance.tags"},
    "rows of JSON": {"for_each": {"filter": [{"var": "instance.tags"}, {"!=": [{"var": "name"}, "1.0"]}]}},
    "a far place": {"position": 999_998},
    "switched off": {"enabled": False},
    "a number": {"config": {"message": "x", "fields": [{"name": "a", "value": 1.0}]}},
    "a config that no form draws": {"config": {"message": {"cat": ["a", {"var": "instance.legs"}]}}},
    "a kind from elsewhere": {"kind": "beam_up", "config": {"to": ["Enterprise"]}, "delay": 90},
}


def post_back(client: Client, rule: Rule) -> None:
    page = client.get(change_url(rule)).content.decode()
    response: Any = client.post(change_url(rule), posted_by_the_page(page))
    assert response.status_code == 302, (rule.slug, response.context_data["errors"])


@pytest.mark.parametrize("pack", ["accounts", "clinic", "shop", "site"])
def test_every_shipped_rule_is_saved_as_it_was(admin_client: Client, pack: str) -> None:
    make_endpoint(slug="demo")
    call_command("loaddata", pack, verbosity=0)
    refresh()
    before = dump()
    for rule in Rule.objects.all():
        post_back(admin_client, rule)
    refresh()
    assert dump() == before


@pytest.mark.parametrize("name", ODD)
def test_an_odd_limit_is_saved_as_it_was(admin_client: Client, name: str) -> None:
    rule = create_rule(Animal, actions=[LOG], **ODD[name])
    refresh()
    before = dump()
    post_back(admin_client, rule)
    refresh()
    assert dump() == before


@pytest.mark.parametrize("name", ROWS)
def test_an_odd_action_is_saved_as_it_was(admin_client: Client, name: str) -> None:
    rule = create_rule(Animal, actions=[LOG, LOG])
    rule.actions.filter(position=1).update(**ROWS[name])
    refresh()
    before = dump()
    post_back(admin_client, rule)
    refresh()
    assert dump() == before
