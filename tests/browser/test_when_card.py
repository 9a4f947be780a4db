"""The *When* card: plain words over what a rule stores, which stays as it is until somebody chooses."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from playwright.sync_api import expect

from project.shop.models import Order, Product
from rules_engine.context.signals import MODEL_SIGNALS, OPERATIONS
from rules_engine.models import Rule, RuleAction, RuleVersion
from rules_engine.testing import create_rule, refresh
from tests.integration.admin.conftest import change_url, client_of, posted_by_the_page
from webhooks.models import Endpoint

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ADD = "/admin/rules_engine/rule/add/"
LOG = ("log_message", {"message": "x"})
POSTED = (
    """() => [...new FormData(document.getElementById("rule_form"))].filter(([, value]) => typeof value === "string")"""
)
#: Both the card and the settings of the actions.
DRAWN = """() => document.querySelector(".rules-when")
    && document.querySelector(".rjf-form-wrapper, .rules-config-note")"""
SEED, COMBINATIONS = 20261129, 24


def card(page: Page) -> Locator:
    return page.locator("#rules-card-when")


def happens(page: Page) -> Locator:
    return card(page).get_by_label("What happens:", exact=True)


def stored(page: Page) -> tuple[list[str], list[str], Any]:
    """What the form would post of signals, operations and changes."""
    ticked = "boxes => boxes.filter(box => box.checked).map(box => box.value)"
    text = page.input_value("#id_changes")
    return (
        page.eval_on_selector_all("input[name=signals]", ticked),
        page.eval_on_selector_all("input[name=operations]", ticked),
        json.loads(text) if text else [],
    )


def dump() -> str:
    tables = [list(model.objects.order_by("pk").values()) for model in (Rule, RuleAction, RuleVersion)]
    return json.dumps(tables, default=str)


def save_all_untouched(page: Page, rules: Iterable[Rule], as_sent: bool = False) -> None:
    """Open each as a browser draws it, and save what its form holds.

    ``as_sent`` when that is to the letter what the page was sent with, as if no script had drawn anything.
    """
    client = client_of(get_user_model().objects.get(username="root"))
    for rule in rules:
        response = page.goto(change_url(rule))
        assert response is not None
        page.wait_for_function(DRAWN)
        data: dict[str, list[str]] = {}
        for name, value in page.evaluate(POSTED):
            data.setdefault(name, []).append(value.replace("\r\n", "\n").replace("\n", "\r\n"))
        if as_sent:
            assert different(data, posted_by_the_page(response.text())) <= {"csrfmiddlewaretoken"}, rule.slug
        answer: Any = client.post(change_url(rule), data)
        assert answer.status_code == 302, (rule.slug, answer.context_data["errors"])


def different(posted: Mapping[str, list[str]], sent: Mapping[str, list[str]]) -> set[str]:
    """The names of the form's fields that are not posted as they were sent.

    What draws a form of settings has some of its own, which nobody reads.
    """
    mine = {name: _lines(values) for name, values in posted.items() if not name.startswith("rjf")}
    theirs = {name: _lines(values) for name, values in sent.items()}
    return {name for name in mine.keys() | theirs if mine.get(name, []) != theirs.get(name, [])}


def _lines(values: Iterable[str]) -> list[str]:
    return [value.replace("\r\n", "\n") for value in values]


def test_every_rule_of_the_packs_is_saved_as_it_is(watched: Any) -> None:
    Endpoint.objects.create(name="Demo", slug="demo", url="https://example.com/")
    for pack in ("accounts", "clinic", "shop", "site"):
        call_command("rulepack", "install", pack, verbosity=0)
    # Else those on requests would act on the ones made here.
    Rule.objects.update(enabled=False)
    refresh()
    before = dump()
    save_all_untouched(watched(), Rule.objects.order_by("pk"), as_sent=True)
    refresh()
    assert dump() == before


def combinations(chance: random.Random) -> Iterable[dict[str, Any]]:
    """Signals with operations and change conditions, in any order, as packs and code may store them."""
    for _number in range(COMBINATIONS):
        signals = chance.sample(sorted(MODEL_SIGNALS), chance.randint(1, 3))
        possible = sorted({operation for name in signals for operation in OPERATIONS[name]})
        changes: list[dict[str, Any]] = [{"field": "status", "to": "paid"}, {"field": "total", "from": None}]
        knows_changes = set(signals) <= {"pre_save", "post_save"}
        yield {
            "signals": signals,
            "operations": chance.sample(possible, chance.randint(0, len(possible))),
            "changes": chance.sample(changes, chance.randint(0, 2)) if knows_changes else [],
        }


def test_whatever_is_stored_is_saved_as_it_is(watched: Any) -> None:
    for number, fields in enumerate(combinations(random.Random(SEED))):
        create_rule(Order, slug=f"stored-{number}", actions=[LOG], **fields)
    create_rule(Product, ["m2m_changed"], slug="tags", operations=["clear", "remove"], actions=[LOG])
    create_rule(signals=["user_logged_in", "user_logged_out"], slug="two", actions=[LOG])
    refresh()
    before = dump()
    save_all_untouched(watched(), Rule.objects.order_by("pk"))
    refresh()
    assert dump() == before


def test_each_plain_choice_is_read_as_what_it_wrote(watched: Any) -> None:
    page = watched()
    page.goto(ADD)
    page.select_option("#id_model", "shop.product")
    written = {}
    for name in ("create", "update", "save", "becomes", "delete", "any", "related"):
        happens(page).select_option(name)
        written[name] = stored(page)[:2]
        if name != "becomes":
            assert stored(page)[2] == []
    assert written == {
        "create": (["post_save"], ["create"]),
        "update": (["post_save"], ["update"]),
        "save": (["post_save"], []),
        "becomes": (["post_save"], ["update"]),
        "delete": (["post_delete"], []),
        "any": (["post_save", "post_delete"], []),
        "related": (["m2m_changed"], []),
    }
    card(page).get_by_label("Which related objects:").select_option(label="Tags")
    card(page).get_by_label("What happens to them:").select_option(label="they are removed")
    assert stored(page) == (["m2m_changed"], ["remove", "clear"], [{"field": "tags"}])


def test_a_field_becomes_a_value_of_its_kind(watched: Any, shots: Path) -> None:
    page = watched()
    page.goto(ADD)
    page.select_option("#id_model", "shop.order")
    happens(page).select_option(label="a field becomes a value")
    row = card(page).get_by_role("group", name="Change 1")
    row.get_by_label("Field", exact=True).select_option(label="Status")
    row.get_by_label("Value afterwards").select_option(label="Paid")
    assert stored(page) == (["post_save"], ["update"], [{"field": "status", "to": "paid"}])
    row.get_by_label("from", exact=True).select_option(label="from")
    row.get_by_label("Value before").select_option(label="Pending")
    card(page).get_by_label("also when it is created so").check()
    assert stored(page) == (["post_save"], [], [{"field": "status", "from": "pending", "to": "paid"}])
    page.screenshot(path=str(shots / "when-becomes.png"), full_page=True)
    # What was written is there again for whoever comes back, of this model and of no other.
    happens(page).select_option(label="it is updated")
    assert stored(page) == (["post_save"], ["update"], [])
    happens(page).select_option(label="a field becomes a value")
    assert stored(page)[2] == [{"field": "status", "from": "pending", "to": "paid"}]
    page.select_option("#id_model", "shop.product")
    expect(row.get_by_label("Field", exact=True)).to_have_value("")


def test_a_signal_of_the_site_is_a_first_choice(watched: Any, shots: Path) -> None:
    page = watched()
    page.goto(ADD)
    expect(page.locator("#id_model option").nth(0)).to_have_text("– choose –")
    page.select_option("#id_model", index=1)
    which = card(page).get_by_label("Which signal:")
    which.select_option("user_logged_in")
    assert stored(page) == (["user_logged_in"], [], [])
    page.screenshot(path=str(shots / "when-site.png"), full_page=True)
    page.select_option("#id_model", "shop.order")
    assert stored(page) == ([], [], [])
    expect(happens(page)).to_have_value("")


def test_signals_of_other_models_are_hidden_unless_chosen(watched: Any) -> None:
    page = watched()
    page.goto(change_url(create_rule(Order, ["pre_save"], actions=[LOG])))
    expect(happens(page)).to_have_value("other")
    expect(card(page).locator("details").first).to_have_attribute("open", "")
    expect(card(page).get_by_label("An order was paid")).to_be_visible()
    expect(card(page).get_by_label("A doctor went on vacation")).to_be_hidden()
    happens(page).select_option(label="a signal about it is sent")
    listed = card(page).get_by_label("Which signal:").locator("option").all_text_contents()
    assert [one for one in listed if "doctor" in one.lower()] == []
    assert [one for one in listed if "order was paid" in one]


def test_what_is_ticked_under_advanced_is_said_above(watched: Any) -> None:
    page = watched()
    page.goto(change_url(create_rule(Order, ["post_save"], operations=["create"], actions=[LOG])))
    expect(happens(page)).to_have_value("create")
    expect(card(page).locator("details").first).not_to_have_attribute("open", "")
    card(page).locator("details").first.locator("summary").first.click()
    page.check('input[name="operations"][value="update"]')
    expect(happens(page)).to_have_value("save")
    page.check('input[name="signals"][value="pre_save"]')
    expect(happens(page)).to_have_value("other")


def test_whoever_chose_nothing_is_told_where(watched: Any) -> None:
    page = watched()
    page.goto(ADD)
    page.select_option("#id_model", "shop.order")
    page.click('.submit-row [name="_save"]')
    expect(card(page).get_by_text("Choose what happens.")).to_be_visible()
    happens(page).select_option(label="it is created")
    expect(card(page).get_by_text("Choose what happens.")).to_have_count(0)


def test_without_scripts_the_stored_fields_stand_open(browse: Any) -> None:
    root = get_user_model().objects.create_superuser("root", "root@example.com", "x")
    page = browse(root, java_script_enabled=False).new_page()
    page.goto(ADD)
    page.select_option("#id_model", "shop.order")
    page.check('input[name="signals"][value="post_save"]')
    page.check('input[name="operations"][value="create"]')
    page.click('.submit-row [name="_save"]')
    expect(page.locator(".errornote, .errorlist")).to_have_count(0)
    page.wait_for_url("**/change/")
    rule = Rule.objects.get()
    assert (rule.signals, rule.operations, rule.name) == (["post_save"], ["create"], "When an order is created")
    assert not rule.enabled
