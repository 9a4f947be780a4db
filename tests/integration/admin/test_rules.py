"""Writing rules in the admin, through Django's test client."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core import mail
from django.test import Client
from django.urls import reverse

from project.shop.models import Order
from rules_engine.models import Rule, RuleAction, RuleError, RuleVersion
from rules_engine.testing import create_rule, refresh, run_due
from tests.integration.admin.conftest import ADD, WRITERS, change_url, make_user, post_data, posted_by_the_page

pytestmark = pytest.mark.django_db(transaction=True)

MAIL = {
    "to": ["{{ actor.username }}@example.com"],
    "subject": "Order {{ instance.order_number }}",
    "body": "It is here.",
}
LOG = {"message": "Order {{ instance.order_number }}"}
HOSTILE = '<script>alert("x")</script>'


def errors_of(response: Any) -> dict[str, Any]:
    """The errors of a refused form: the rule's by field, and each row's under its number."""
    context = response.context_data
    assert context is not None, "It was saved."
    formset = context["inline_admin_formsets"][0].formset
    return {**context["adminform"].form.errors, **dict(enumerate(formset.errors))}


def actions(*configs: tuple[str, Any]) -> list[dict[str, Any]]:
    return [{"kind": kind, "config": one if isinstance(one, str) else json.dumps(one)} for kind, one in configs]


def test_a_rule_made_in_the_admin_fires(admin_client: Client, root: Any) -> None:
    data = post_data(
        actions(("send_email", {**MAIL, "to": ["a@example.com"]}), ("log_message", LOG)),
        condition='{">": [{"var": "instance.total"}, 100]}',
    )
    response = admin_client.post(reverse(ADD), data)
    assert response.status_code == 302, errors_of(response)
    rule = Rule.objects.get()
    assert rule.author == root
    assert rule.condition == {">": [{"var": "instance.total"}, 100]}
    assert [(one.position, one.kind) for one in rule.actions.all()] == [(0, "send_email"), (1, "log_message")]
    Order.objects.create(order_number="early", total=500)
    assert run_due() == 0, "A new rule is off."
    admin_client.post(reverse("admin:rules_engine_rule_switch", args=[rule.pk]), {"to": "on"})
    Order.objects.create(order_number="cheap", total=1)
    Order.objects.create(order_number="A-1", total=500)
    assert run_due() == 2
    assert [message.subject for message in mail.outbox] == ["Order A-1"]


def test_a_row_that_nobody_touched_is_no_action(admin_client: Client) -> None:
    data = posted_by_the_page(admin_client.get(reverse(ADD)).content.decode())
    assert data["actions-TOTAL_FORMS"] == ["1"]
    data |= {"name": ["Empty"], "slug": ["empty"], "model": ["shop.order"], "signals": ["post_save"]}
    response = admin_client.post(reverse(ADD), data)
    assert response.status_code == 302, errors_of(response)
    assert not RuleAction.objects.exists()


def test_the_add_form_offers_what_rules_can_watch(admin_client: Client) -> None:
    page = admin_client.get(reverse(ADD)).content.decode()
    assert 'value="shop.order"' in page
    assert "after it is saved (post_save)" in page
    assert "cannot see bulk writes" in page
    for denied in ("auth.permission", "rules_engine.rule", "webhooks.endpoint", "sessions.session"):
        assert f'value="{denied}"' not in page


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"condition": '{"==": [1, }'}, "condition", "line 1"),
        ({"condition": '{"==": [{"var": "instance.totl"}, 1]}'}, "condition", 'Did you mean "total"?'),
        ({"condition": '{"===!": [{"var": "instance.total"}, 1]}'}, "condition", "operator"),
        ({"changes": '[{"field": "statsu"}]'}, "changes", "/0/field:"),
        ({"changes": '[{"field": "status", "to": "payed"}]'}, "changes", 'Did you mean "paid"?'),
        ({"signals": []}, "signals", "Tick at least one."),
        ({"signals": ["post_saev"]}, "signals", "post_saev"),
        ({"operations": ["delete"]}, "operations", "does not happen"),
        ({"model": ""}, "model", "post_save"),
        ({"model": "auth.permission"}, "model", "auth.permission"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said_at_its_field(
    admin_client: Client, fields: dict[str, Any], field: str, words: str
) -> None:
    response = admin_client.post(reverse(ADD), post_data(actions(("log_message", {"message": "typed text"})), **fields))
    assert words in " ".join(errors_of(response)[field])
    assert not Rule.objects.exists()
    page = posted_by_the_page(response.content.decode())
    assert page["actions-0-config"] == ['{"message": "typed text"}']
    assert page["name"] == ["New order"]
    for name in ("condition", "changes"):
        assert page[name] == [fields.get(name, "")]


@pytest.mark.parametrize(
    ("kind", "config", "field", "words"),
    [
        ("send_email", {**MAIL, "subject": "{{ instance.totl }}"}, "config", 'Did you mean "total"?'),
        ("send_email", {**MAIL, "subject": "{% if %}"}, "config", "/subject:"),
        ("send_email", {"to": ["a@example.com"]}, "config", "/body:"),
        ("log_message", {"message": "x", "levle": "info"}, "config", 'Did you mean "level"?'),
        ("log_message", "{'message': 1}", "config", "double quotes"),
        ("log_message", '{"message": "\\u0000"}', "config", "NUL"),
        ("log_message", "[1]", "config", "Expected an object"),
        ("webhook", {"endpoint": "nowhere"}, "config", "/endpoint:"),
        ("no_such_kind", {}, "kind", "no_such_kind"),
        ("", {"message": "x"}, "kind", "required"),
    ],
)
def test_what_is_wrong_with_an_action_is_said_in_its_row(
    admin_client: Client, kind: str, config: Any, field: str, words: str
) -> None:
    rows = actions(("log_message", LOG), (kind, config))
    response = admin_client.post(reverse(ADD), post_data(rows))
    found = errors_of(response)
    assert words in " ".join(found[1][field])
    assert found[0] == {}
    assert not Rule.objects.exists()
    assert posted_by_the_page(response.content.decode())["actions-1-config"] == [rows[1]["config"]]


def test_mistakes_in_a_rule_and_in_its_actions_are_said_together(admin_client: Client) -> None:
    response = admin_client.post(
        reverse(ADD), post_data(actions(("send_email", {"to": []})), condition='{"var": "instance.totl"}')
    )
    found = errors_of(response)
    assert found["condition"]
    assert found[0]["config"]


def test_an_author_needs_the_permissions_of_the_rule(staff: Callable[..., Client]) -> None:
    client = staff(*WRITERS)
    response = client.post(reverse(ADD), post_data(actions(("log_message", LOG))))
    found = errors_of(response)
    assert "shop.view_order" in " ".join(found["__all__"])
    assert not Rule.objects.exists()


def test_an_author_needs_the_permissions_of_its_actions(staff: Callable[..., Client]) -> None:
    client = staff(*WRITERS, "shop.view_order")
    config = {"message": "{{ instance.customer.email }}"}
    response = client.post(reverse(ADD), post_data(actions(("log_message", config))))
    assert "accounts.view_user" in " ".join(errors_of(response)[0]["__all__"])
    assert client.post(reverse(ADD), post_data(actions(("log_message", LOG)))).status_code == 302
    assert Rule.objects.get().author.username == "staff"


def test_opening_and_saving_a_rule_changes_nothing(admin_client: Client) -> None:
    condition = {"and": [{"==": [{"var": "instance.status"}, "paid"]}, {">": [{"var": "instance.total"}, 1.0]}, True]}
    config = {"message": {"cat": ["Größe ", {"var": "instance.total"}]}, "level": "info", "fields": []}
    rule = create_rule(
        model=Order,
        signals=["pre_save", "post_save"],
        operations=["update", "create"],
        changes=[{"field": "status", "from": None}, {"field": "total"}],
        condition=condition,
        actions=[("log_message", config), ("send_email", {**MAIL, "body": "two\nlines "})],
        author=make_user(name="somebody"),
    )
    before = _dump()
    page = admin_client.get(change_url(rule))
    response = admin_client.post(change_url(rule), posted_by_the_page(page.content.decode()))
    assert response.status_code == 302, errors_of(response)
    refresh()
    assert _dump() == before
    assert RuleVersion.objects.count() == 1


def _dump() -> str:
    tables = [list(model.objects.order_by("pk").values()) for model in (Rule, RuleAction, RuleVersion)]
    return json.dumps(tables, default=str)


def test_a_condition_is_shown_indented_and_with_its_letters(admin_client: Client) -> None:
    rule = create_rule(model=Order, condition={"==": [{"var": "instance.status"}, "bezahlt für"]})
    page = admin_client.get(change_url(rule)).content.decode()
    shown = posted_by_the_page(page)["condition"][0].replace("\r\n", "\n")
    assert shown == json.dumps(rule.condition, indent=2, ensure_ascii=False)


def test_whoever_changes_an_action_becomes_the_author(admin_client: Client, root: Any) -> None:
    rule = create_rule(model=Order, actions=[("log_message", LOG)], author=make_user(name="somebody"))
    data = posted_by_the_page(admin_client.get(change_url(rule)).content.decode())
    data["actions-0-config"] = ['{"message": "other"}']
    assert admin_client.post(change_url(rule), data).status_code == 302
    rule.refresh_from_db()
    assert rule.author == root
    assert rule.actions.get().config == {"message": "other"}


def test_actions_can_change_places_and_give_way(admin_client: Client) -> None:
    rule = create_rule(model=Order, actions=[("log_message", {"message": text}) for text in "abc"])
    data = posted_by_the_page(admin_client.get(change_url(rule)).content.decode())
    data |= {"actions-0-position": ["1"], "actions-1-position": ["2"], "actions-2-DELETE": ["on"]}
    response = admin_client.post(change_url(rule), data)
    assert response.status_code == 302, errors_of(response)
    assert [(one.position, one.config["message"]) for one in rule.actions.all()] == [(1, "a"), (2, "b")]


def test_two_actions_cannot_have_one_place(admin_client: Client) -> None:
    rows = [{**row, "position": "3"} for row in actions(("log_message", LOG), ("log_message", LOG))]
    response = admin_client.post(reverse(ADD), post_data(rows))
    assert "3" in " ".join(errors_of(response)[1]["position"])


def test_an_action_of_a_kind_that_is_gone_is_kept_and_said_to_be(admin_client: Client) -> None:
    rule = create_rule(model=Order, actions=[("log_message", LOG)])
    RuleAction.objects.update(kind="log_mesage", config={"a": [1]})
    response = admin_client.get(change_url(rule))
    page = response.content.decode()
    assert "There is no action of the kind &quot;log_mesage&quot;" in page
    data = posted_by_the_page(page)
    assert "actions-0-config" not in data
    response = admin_client.post(change_url(rule), {**data, "name": ["Renamed"], "actions-0-config": ["{}"]})
    assert response.status_code == 302, errors_of(response)
    action = rule.actions.get()
    assert (action.kind, action.config) == ("log_mesage", {"a": [1]})
    assert Rule.objects.get().name == "Renamed"


def test_whoever_may_only_view_reads_the_rule_and_cannot_change_it(staff: Callable[..., Client]) -> None:
    rule = create_rule(
        model=Order,
        condition={"==": [{"var": "instance.status"}, "paid"]},
        actions=[("log_message", LOG)],
    )
    client = staff("rules_engine.view_rule")
    response = client.get(change_url(rule))
    page = response.content.decode()
    assert response.status_code == 200
    for words in ("after it is saved (post_save)", "Order (shop.order)", "&quot;instance.status&quot;"):
        assert words in page
    assert "<textarea" not in page
    assert "{{ instance.order_number }}" in page
    assert client.post(change_url(rule), post_data()).status_code == 403
    assert client.get(reverse(ADD)).status_code == 403


def test_the_list_says_what_rules_do_and_how_they_are(admin_client: Client) -> None:
    create_rule(
        model=Order, slug="good", operations=["create", "update"], changes=[{"field": "status"}], name="Good one",
        actions=[("log_message", LOG), ("log_message", LOG)],
    )  # fmt: skip
    create_rule(model=Order, slug="shadowed", shadow=True)
    create_rule(model=Order, slug="sleeping", enabled=False)
    broken = create_rule(model=Order, slug="broken")
    Rule.objects.filter(pk=broken.pk).update(condition={"var": "instance.totl"})
    orphan = create_rule(model=Order, slug="orphan", author=make_user(name="gone", is_active=False))
    assert orphan.author
    RuleError.objects.create(rule_slug="good", rule_version=1, message=f"It broke {HOSTILE}")
    Order.objects.create(order_number="1", status="paid")
    run_due()
    response = admin_client.get(reverse("admin:rules_engine_rule_changelist"))
    page = response.content.decode()
    assert "When an order is created or updated and its status changes" in page
    for words in ("rules-state-shadow", "rules-state-off", "rules-state-broken", "Did you mean", "is inactive"):
        assert words in page
    good = next(rule for rule in response.context_data["cl"].result_list if rule.slug == "good")
    assert (good.activity.fired, good.activity.failed, good.activity.errors) == (1, 0, 1)
    assert "It broke &lt;script&gt;" in page


def test_the_lists_queries_do_not_grow_with_the_rules(admin_client: Client, django_assert_max_num_queries: Any) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    url = reverse("admin:rules_engine_rule_changelist")
    for number in range(2):
        create_rule(model=Order, slug=f"first-{number}", actions=[("log_message", LOG)])
    with CaptureQueriesContext(connection) as few:
        admin_client.get(url)
    for number in range(8):
        author = make_user(name=f"author-{number}")
        create_rule(model=Order, slug=f"more-{number}", actions=[("log_message", LOG)], author=author)
    with django_assert_max_num_queries(len(few)):
        admin_client.get(url)


def test_a_rules_page_says_what_is_wrong_with_it(admin_client: Client) -> None:
    rule = create_rule(model=Order, slug="broken", actions=[("log_message", LOG)])
    RuleAction.objects.update(config={"message": "{{ instance.totl }}"})
    RuleError.objects.create(rule_slug="broken", rule_version=1, message=f"division {HOSTILE}")
    page = admin_client.get(change_url(rule)).content.decode()
    assert "/actions/0/config/message" in page
    assert "division &lt;script&gt;" in page
    assert HOSTILE not in page
    assert "rule_slug=broken" in page


def test_hostile_names_are_only_text(admin_client: Client) -> None:
    rule = create_rule(
        model=Order, name=HOSTILE, description=HOSTILE, condition={"==": [{"var": "instance.status"}, HOSTILE]},
        actions=[("log_message", {"message": f"{HOSTILE}</textarea>"})],
    )  # fmt: skip
    RuleAction.objects.create(rule=rule, position=5, kind=HOSTILE, config={HOSTILE: HOSTILE})
    Rule.objects.filter(pk=rule.pk).update(model=HOSTILE, signals=[HOSTILE], operations=[HOSTILE])
    for url in (change_url(rule), reverse("admin:rules_engine_rule_changelist")):
        response = admin_client.get(url)
        assert response.status_code == 200
        assert "<script>alert" not in response.content.decode()


@pytest.mark.parametrize("odd", [{"a": 1}, [{"a": 1}], [["x"]], 5, "post_save", [None], {}])
def test_rules_of_any_shape_are_shown(admin_client: Client, odd: Any) -> None:
    rule = create_rule(model=Order, actions=[("log_message", LOG), ("log_message", LOG)])
    Rule.objects.filter(pk=rule.pk).update(signals=odd, operations=odd, changes=odd, condition=odd)
    RuleAction.objects.filter(position=0).update(config=odd)
    list_page = admin_client.get(reverse("admin:rules_engine_rule_changelist"))
    assert "rules-state-broken" in list_page.content.decode()
    page = admin_client.get(change_url(rule))
    assert page.status_code == 200
    data = posted_by_the_page(page.content.decode())
    assert admin_client.post(change_url(rule), {**data, "description": ["x"]}).status_code in (200, 302)


def run_action(client: Client, name: str, *rules: Rule) -> str:
    url = reverse("admin:rules_engine_rule_changelist")
    data = {"action": name, "_selected_action": [str(rule.pk) for rule in rules]}
    return client.post(url, data, follow=True).content.decode()


def test_rules_are_enabled_and_disabled_from_the_list(admin_client: Client) -> None:
    rule = create_rule(model=Order, slug="one", actions=[("log_message", LOG)])
    run_action(admin_client, "disable", rule)
    Order.objects.create(order_number="1")
    assert run_due() == 0
    run_action(admin_client, "enable", rule)
    Order.objects.create(order_number="2")
    assert run_due() == 1
    assert list(LogEntry.objects.order_by("pk").values_list("change_message", flat=True)) == ["Disabled.", "Enabled."]


def test_nobody_enables_a_rule_that_is_beyond_them_or_broken(staff: Callable[..., Client]) -> None:
    rule = create_rule(model=Order, slug="one", enabled=False, actions=[("log_message", LOG)])
    broken = create_rule(model=Order, slug="two", enabled=False)
    Rule.objects.filter(pk=broken.pk).update(condition={"var": "instance.totl"})
    page = run_action(staff(*WRITERS), "enable", rule, broken)
    assert "shop.view_order" in page
    assert "Did you mean" in page
    assert not Rule.objects.filter(enabled=True).exists()


def test_a_duplicate_is_off_and_ones_own(admin_client: Client, root: Any) -> None:
    rule = create_rule(model=Order, slug="one", name="One", actions=[("log_message", LOG)], author=make_user())
    run_action(admin_client, "duplicate", rule)
    run_action(admin_client, "duplicate", rule)
    copy = Rule.objects.get(slug="one-copy")
    assert (copy.name, copy.enabled, copy.author) == ("One (copy)", False, root)
    assert copy.actions.get().config == LOG
    assert Rule.objects.filter(slug="one-copy-2").exists()
