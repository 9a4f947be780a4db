"""The tutorials do what they say: their action, their rules and their view run as they stand in the pages."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from django.core.management import call_command
from django.test import RequestFactory

from project.shop.models import Order
from rules_engine.errors import InvalidRule
from rules_engine.models import Execution
from rules_engine.rules import registry
from rules_engine.testing import create_rule, refresh, run_due
from tests.factories import make_endpoint, make_order
from webhooks.models import Endpoint
from webhooks.signing.signatures import generate_secret, sign

pytestmark = pytest.mark.django_db(transaction=True)

TUTORIALS = Path(__file__).resolve().parents[2] / "docs" / "tutorial"
PAID = {"changes": [{"field": "status", "to": "paid"}]}


def blocks(page: str, language: str) -> list[str]:
    text = (TUTORIALS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def module_of(source: str) -> ModuleType:
    """A module made of a block of code, found by its name as any other."""
    module = ModuleType("tests.of_a_tutorial")
    sys.modules[module.__name__] = module
    exec(source, module.__dict__)
    return module


@pytest.fixture
def print_slip(settings: Any, tmp_path: Path) -> Iterator[Path]:
    """The action of the second tutorial, registered; where its slips are printed."""
    settings.MEDIA_ROOT = str(tmp_path)
    module_of(blocks("own-action.md", "python")[0])
    yield tmp_path / "slips"
    del registry._actions["print_slip"], sys.modules["tests.of_a_tutorial"]


def draft_of(number: str, total: int | str) -> Order:
    return make_order(order_number=number, status="draft", total=total)


def pay(order: Order) -> None:
    order.status = "paid"
    order.save()


def test_the_action_prints_one_slip_for_a_paid_order(print_slip: Path):
    create_rule("shop.order", **PAID, actions=[("print_slip", {"slip": TEXT.replace("numbr", "number")})])
    pay(draft_of("2026-0003", "22.50"))
    assert run_due() == 1
    execution = Execution.objects.get()
    assert (execution.state, execution.summary) == ("succeeded", "Printed a slip")
    assert [path.name for path in print_slip.iterdir()] == [f"{execution.pk}.txt"]
    assert (print_slip / f"{execution.pk}.txt").read_text() == "Order 2026-0003, 22.50"


TEXT = "Order {{ instance.order_numbr }}, {{ instance.total }}"


def test_the_form_says_of_a_misspelt_field_what_the_page_shows(print_slip: Path):
    with pytest.raises(InvalidRule) as refused:
        create_rule("shop.order", **PAID, actions=[("print_slip", {"slip": TEXT})])
    page = (TUTORIALS / "own-action.md").read_text(encoding="utf-8")
    assert TEXT in page
    [problem] = refused.value.problems
    assert f"/slip: {problem.message}" in page


def test_the_action_holds_to_the_contract(print_slip: Path):
    contract = module_of(blocks("own-action.md", "python")[1]).TestPrintSlip()
    checks = [name for name in dir(contract) if name.startswith("test_")]
    for name in checks:
        getattr(contract, name)()
    assert checks


@pytest.fixture
def warehouse(tmp_path: Path) -> Endpoint:
    """The rule of the first and the third tutorial, loaded as the pack that is shown, and its endpoint."""
    endpoint = make_endpoint("the-warehouse", name="The warehouse", url="https://warehouse.example/hook")
    pack = tmp_path / "warehouse.json"
    pack.write_text(blocks("first-webhook.md", "json")[0], encoding="utf-8")
    call_command("rulepack", "install", str(pack), verbosity=0)
    refresh()
    return endpoint


def test_the_rule_mails_the_warehouse_of_big_orders_alone(warehouse: Endpoint):
    big, small = draft_of("2026-0002", 128), draft_of("2026-0001", "39.50")
    pay(big)
    pay(small)
    call_command("rules_sweep", queue=["rules"], verbosity=0)
    [message] = mail.outbox
    assert (message.to, message.subject) == (["warehouse@shop.example"], "Pack order 2026-0002")
    assert message.body.strip() == "It comes to 128.00."
    assert [(row.kind, row.lane) for row in Execution.objects.filter(state="pending")] == [("webhook", "the-warehouse")]


def test_the_pages_show_the_mail_that_is_sent(warehouse: Endpoint):
    page = (TUTORIALS / "first-rule.md").read_text(encoding="utf-8")
    for said in (
        "Pack order {{ instance.order_number }}",
        "It comes to {{ instance.total }}.",
        "warehouse@shop.example",
    ):
        assert f"`{said}`" in page


def test_the_view_takes_each_delivery_once_and_only_when_it_is_signed(settings: Any):
    cache.clear()
    secret = generate_secret()
    settings.HOOK_SECRETS = [secret]
    received = module_of(blocks("first-webhook.md", "python")[0])
    body = json.dumps({"data": {"instance": {"order_number": "2026-0002"}}}).encode()
    now = int(time.time())
    headers = {
        "webhook-id": "01a22302",
        "webhook-timestamp": str(now),
        "webhook-signature": sign([secret], "01a22302", now, body),
    }

    def answer(**changed: str) -> int:
        sent = {name: value for name, value in {**headers, **changed}.items() if value}
        request = RequestFactory().post("/hook", body, content_type="application/json", headers=sent)
        return received.hook(request).status_code  # type: ignore[no-any-return]

    assert answer(**{"webhook-signature": ""}) == 400
    assert answer(**{"webhook-signature": sign([generate_secret()], "01a22302", now, body)}) == 401
    assert received.packed == []
    assert [answer(), answer()] == [204, 200]
    assert received.packed == ["2026-0002"]
