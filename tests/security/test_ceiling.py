"""A mean author of rules, and mean viewers: none of them reads or does by a rule what they may not."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from project.shop.models import Order
from rules_engine.context.visible import visible
from rules_engine.models import AuditEntry, Event, Execution, HeldMatch, Rule, RuleAction, RuleVersion
from rules_engine.rules.permissions import may_view
from rules_engine.testing import create_rule, run_due
from rules_engine.work.run import drain, may_run
from tests.factories import make_endpoint, make_order
from tests.integration.admin.conftest import ADD, WRITERS, change_url, client_of, make_user, post_data
from webhooks.deliveries import payload

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "victim@example.com"
LOG: Any = ("log_message", {"message": "{{ instance.customer.email }}"})
SAY: Any = ("log_message", {"message": "x"})
ALL: Any = ("log_message", {"message": "{{ instance }}"})
GUESS = "{{ instance.customer.email }}"
WHOLES = (
    {"in": ["victim@", {"cat": [{"var": "instance"}]}]},
    {"some": [[{"var": "instance"}], {"==": [{"var": "customer.email"}, SECRET]}]},
    {"==": [{"reduce": [[{"var": "instance"}], {"var": "current"}, 0]}, 0]},
)


@pytest.fixture
def mean() -> Any:
    """May write rules, and see orders; may not see users."""
    return make_user(*WRITERS, "rules_engine.test_rule", "shop.view_order", "webhooks.view_endpoint", name="mean")


def place_order() -> Order:
    """An order of the victim's, beside a rule of the operator's that reads who it is."""
    create_rule(Order, slug="legit", condition={"!=": [{"var": "instance.customer.email"}, "x"]}, actions=[LOG])
    victim = get_user_model().objects.create_user("victim", email=SECRET)
    return make_order(order_number="1", total=5, customer=victim)


# What other rules read is not theirs


@pytest.mark.parametrize("text", ["{{ instance }}", "{% for a, b in instance %}{{ a }}={{ b }},{% endfor %}"])
def test_a_text_prints_nothing_that_only_other_rules_may_read(mean: Any, text: str) -> None:
    create_rule(Order, slug="mean-log", author=mean, actions=[("log_message", {"message": text})])
    create_rule(Order, slug="mean-note", author=mean, actions=[("write_audit_entry", {"note": text})])
    RuleAction.objects.filter(kind="write_audit_entry").update(timing="in_transaction")
    place_order()
    run_due()
    said = {one.rule_slug: one for one in Execution.objects.all()}
    assert {one.state for one in said.values()} == {"succeeded"}
    assert SECRET in said["legit"].summary
    assert SECRET not in said["mean-log"].summary
    assert SECRET not in json.dumps(list(AuditEntry.objects.values("note", "fields", "changes")), default=str)


def test_a_whole_event_is_sent_without_what_its_author_may_not_see(mean: Any) -> None:
    make_endpoint("erp", url="https://erp.example.com/")
    create_rule(Order, slug="hook", author=mean, actions=[("webhook", {"endpoint": "erp"})])
    create_rule(Order, slug="own", actions=[("webhook", {"endpoint": "erp"})])
    place_order()
    sent = {one.rule_slug: payload.body(one.context().event).decode() for one in may_run(claimed())}
    assert SECRET not in sent["hook"]
    assert '"order_number":"1"' in sent["hook"]
    assert SECRET in sent["own"]


def claimed() -> Any:
    from rules_engine.work import claims

    return claims.claim("webhooks", limit=10)


def test_a_rule_whose_author_may_no_longer_view_what_it_reads_is_refused(mean: Any) -> None:
    make_endpoint("erp", url="https://erp.example.com/")
    actions = [SAY, ("webhook", {"endpoint": "erp"}), ("write_audit_entry", {"note": "x"})]
    condition = {"==": [{"var": "instance.customer.email"}, SECRET]}
    create_rule(Order, slug="mean", author=mean, condition=condition, actions=actions)
    create_rule(
        Order, slug="by-key", author=mean, throttle_count=9, throttle_seconds=60, throttle_by=GUESS, actions=[SAY]
    )
    RuleAction.objects.filter(kind="write_audit_entry").update(timing="in_transaction")
    place_order()
    run_due()
    assert may_run(claimed()) == []
    states = set(Execution.objects.exclude(rule_slug="legit").values_list("rule_slug", "kind", "state"))
    assert states == {
        ("mean", "log_message", "refused"),
        ("mean", "webhook", "refused"),
        ("mean", "write_audit_entry", "refused"),
        ("by-key", "log_message", "refused"),
    }
    assert not AuditEntry.objects.exists()
    assert "lacks the permission accounts.view_user" in Execution.objects.filter(state="refused")[0].error


@pytest.mark.parametrize("condition", WHOLES)
def test_a_condition_on_the_whole_object_sees_what_its_rule_reads(mean: Any, condition: Any) -> None:
    rule = create_rule(Order, slug="mean", author=mean, condition=condition, actions=[SAY])
    create_rule(Order, slug="mean-too", author=mean, condition=condition, actions=[SAY])
    place_order()
    assert [one["rule"] for one in Event.objects.get().evaluations if one["outcome"] == "matched"] == ["legit"]
    assert run_due() == 1
    # Nor do the pages tell, which try it on what was recorded.
    page = client_of(mean).get(reverse("admin:rules_engine_rule_backtest", args=[rule.pk]))
    assert page.context_data["result"].fired.count == 0  # type: ignore[attr-defined]


def test_what_is_left_out_of_an_event_is_named(mean: Any) -> None:
    place_order()
    context, hidden = visible(Event.objects.get().context, "shop.order", may_view(mean))
    assert hidden == ["instance.customer"]
    assert context["instance"] == {}
    views = ("rules_engine.view_event", "rules_engine.view_execution", "shop.view_order")
    shown = client_of(make_user(*views, name="seer"))
    for model, row in (("event", Event.objects.get()), ("execution", Execution.objects.get())):
        page = shown.get(reverse(f"admin:rules_engine_{model}_change", args=[row.pk])).content.decode()
        assert SECRET not in page
        assert "instance.customer" in page


# Saving


EMAIL = "{{ instance.customer.email }}"
VALUES = [{"field": "status", "value": "paid"}]
#: What the form is given, and what is said of it: the permission that is missing, or why nobody may.
READS: dict[str, tuple[dict[str, Any], str]] = {
    "condition": ({"condition": json.dumps({"==": [{"var": "instance.customer.email"}, 1]})}, "accounts.view_user"),
    "pieces": ({"condition": json.dumps({"!!": [{"val": ["instance", "customer", "email"]}]})}, "accounts.view_user"),
    "existence": ({"condition": json.dumps({"exists": ["instance", "customer", "email"]})}, "accounts.view_user"),
    "rows": ({"condition": json.dumps({">": [{"var": "instance.items__count"}, 1]})}, "shop.view_orderitem"),
    "throttle": ({"throttle_count": "1", "throttle_seconds": "5", "throttle_by": EMAIL}, "accounts.view_user"),
    "waiting": ({"coalesce_seconds": "5", "coalesce_by": EMAIL}, "accounts.view_user"),
    "password": ({"condition": json.dumps({"==": [{"var": "instance.customer.password"}, 1]})}, "may not read"),
    "other model": ({"model": "accounts.user"}, "accounts.view_user"),
    "own password": ({"model": "accounts.user", "condition": json.dumps({"!": [{"var": "instance.password"}]})},
                     "may not read"),
}  # fmt: skip
DOES: dict[str, tuple[dict[str, Any], str]] = {
    "log_message": ({"message": EMAIL}, "accounts.view_user"),
    "log_message by another name": (
        {"message": "{% with a=instance %}{{ a.customer.email }}{% endwith %}"}, "accounts.view_user"),
    "send_email": ({"to": [EMAIL], "subject": "x", "body": "x"}, "accounts.view_user"),
    "webhook": ({"endpoint": "erp", "payload": json.dumps({"a": EMAIL})}, "accounts.view_user"),
    "delete_cache_keys": ({"keys": [EMAIL]}, "accounts.view_user"),
    "write_audit_entry": ({"note": EMAIL}, "accounts.view_user"),
    "set_fields": ({"fields": VALUES}, "shop.change_order"),
    "reject": ({"message": "no"}, "shop.change_order"),
    "create_object": ({"model": "shop.order", "values": [{"field": "order_number", "value": "x"}]}, "shop.add_order"),
    "update_objects": ({"target": "instance", "values": VALUES}, "shop.change_order"),
    "update_objects of others": (
        {"target": "query", "model": "accounts.user", "values": [{"field": "email", "value": "x"}]}, "may not"),
    "create_object of power": (
        {"model": "accounts.user", "values": [{"field": "username", "value": "x"}]}, "may not"),
    "send_signal": ({"signal": "shop.order_paid", "with_object": True}, "shop.change_order"),
}  # fmt: skip


@pytest.mark.parametrize("how", [*READS, *DOES])
def test_nobody_saves_a_rule_that_reads_or_does_what_they_may_not(mean: Any, how: str) -> None:
    make_endpoint("erp", url="https://erp.example.com/")
    fields, said = READS.get(how, ({}, ""))
    config, missing = DOES.get(how, ({"message": "x"}, ""))
    kind = how.split()[0] if how in DOES else "log_message"
    if kind in ("set_fields", "reject"):
        fields = {"signals": ["pre_save"], "operations": []}
    row = {"kind": kind, "config": json.dumps(config)}
    answer = client_of(mean).post(reverse(ADD), post_data([row], **fields))
    assert answer.status_code == 200
    assert not Rule.objects.exists()
    assert (said or missing) in answer.content.decode()


# Another's rule, and another's rows


def off_rule(**fields: Any) -> Rule:
    return create_rule(Order, actions=[SAY], **{"slug": "r", "enabled": False, **fields})


def test_a_rule_that_is_on_is_restored_only_by_who_may_change_it() -> None:
    rule = off_rule(enabled=True)
    RuleVersion.objects.create(
        rule_slug="r", number=99, digest="x", content={**RuleVersion.objects.get().content, "name": "Another"}
    )
    writer = make_user("rules_engine.view_rule", "rules_engine.change_rule", "shop.view_order")
    address = reverse("admin:rules_engine_rule_restore", args=[rule.pk, 99])
    assert client_of(writer).post(address).status_code == 403
    assert Rule.objects.get().name == rule.name
    assert client_of(make_user(*WRITERS, "shop.view_order", name="enabler")).post(address).status_code == 302
    assert Rule.objects.get().name == "Another"


def test_an_action_of_another_rule_is_not_taken_over_by_its_id(mean: Any) -> None:
    theirs = off_rule(slug="theirs").actions.get()
    mine = off_rule(slug="mine", author=mean)
    row = {"kind": "log_message", "config": '{"message": "stolen"}', "id": str(theirs.pk), "rule": str(theirs.rule_id)}
    data = post_data([row], name="mine", slug="mine", **{"actions-INITIAL_FORMS": "1"})
    answer = client_of(mean).post(change_url(mine), data)
    assert answer.status_code in (200, 302, 400)
    theirs.refresh_from_db()
    assert (theirs.config, theirs.rule.slug) == ({"message": "x"}, "theirs")


def test_nobody_passes_a_rule_off_as_anothers(mean: Any) -> None:
    root = get_user_model().objects.create_superuser("root")
    row = {"kind": "log_message", "config": '{"message": "x"}'}
    client_of(mean).post(reverse(ADD), post_data([row], author=str(root.pk), author_id=str(root.pk)))
    made = Rule.objects.get()
    assert made.author == mean
    client_of(mean).post(change_url(made), {**post_data([row]), "name": "Mine", "author": str(root.pk)})
    assert Rule.objects.get().author == mean


def test_saving_anothers_rule_makes_it_ones_own_and_within_ones_own_power(mean: Any) -> None:
    root = get_user_model().objects.create_superuser("root")
    strong = create_rule(Order, slug="strong", author=root, enabled=False, actions=[LOG])
    rows = [{"kind": "log_message", "config": json.dumps(LOG[1]), "id": str(strong.actions.get().pk), "position": "0"}]
    data = post_data(rows, name="Renamed", slug="strong", **{"actions-INITIAL_FORMS": "1"})
    assert "you lack the permission" in client_of(mean).post(change_url(strong), data).content.decode()
    assert (Rule.objects.get().name, Rule.objects.get().author) == (strong.name, root)


# Guessing


@pytest.mark.parametrize(
    ("model", "asked"),
    [
        ("event", "context__instance__customer__email__startswith"),
        ("execution", "given__context__startswith"),
        ("execution", "error__contains"),
        ("heldmatch", "throttle_key__startswith"),
        ("auditentry", "changes__email__new__startswith"),
        ("auditentry", "note__startswith"),
        ("ruleversion", "content__condition__contains"),
        ("rule", "author__password__startswith"),
    ],
)
def test_lists_are_not_narrowed_by_data_that_could_be_guessed_so(model: str, asked: str) -> None:
    seer = client_of(make_user(f"rules_engine.view_{model}"))
    listed = reverse(f"admin:rules_engine_{model}_changelist")
    assert seer.get(listed, {asked: "v"}).status_code == 400
    assert seer.get(listed, {"q": "v"}).status_code == 200


def test_records_of_what_one_may_not_view_show_no_data() -> None:
    entry = AuditEntry.objects.create(
        id=uuid.uuid4(), at=timezone.now(), operation="update", model="accounts.user", object_pk="1",
        object_text=SECRET, note=f"It is {SECRET}",
        changes={"email": {"old": SECRET, "new": "x"}}, fields={"email": SECRET}, actor_name="Ada",
    )  # fmt: skip
    create_rule(Order, slug="legit", actions=[SAY], throttle_count=1, throttle_seconds=60,
                throttle_by="{{ instance.customer.email }}")  # fmt: skip
    victim = get_user_model().objects.create_user("victim", email=SECRET)
    make_order(order_number="1", total=5, customer=victim)
    match = HeldMatch.objects.get()
    views = ("rules_engine.view_auditentry", "rules_engine.view_heldmatch")
    blind, seer = make_user(*views), make_user(*views, "accounts.view_user", "shop.view_order", name="seer")
    for who, sees in ((client_of(blind), False), (client_of(seer), True)):
        for name, row in (("auditentry", entry), ("heldmatch", match)):
            page = who.get(reverse(f"admin:rules_engine_{name}_change", args=[row.pk])).content.decode()
            assert (SECRET in page) is sees
            found = who.get(reverse(f"admin:rules_engine_{name}_changelist"), {"q": "victim@"})
            assert (found.context_data["cl"].result_count == 1) is sees  # type: ignore[attr-defined]
    # By what is shown it is found all the same.
    found = client_of(blind).get(reverse("admin:rules_engine_auditentry_changelist"), {"q": "Ada"})
    assert found.context_data["cl"].result_count == 1  # type: ignore[attr-defined]


def test_what_was_sent_is_shown_to_whoever_may_view_its_object() -> None:
    place_order()
    drain("rules", seconds=10)
    execution = Execution.objects.get()
    execution.attempt_set.update(detail={"to": [SECRET]})
    address = reverse("admin:rules_engine_execution_change", args=[execution.pk])
    assert SECRET not in attempts(client_of(make_user("rules_engine.view_execution")), address)
    assert SECRET in attempts(client_of(make_user("rules_engine.view_execution", "shop.view_order", name="b")), address)


def attempts(client: Client, address: str) -> str:
    return client.get(address).content.decode().split("field-attempts_shown")[1].split("field-caused_shown")[0]


# Trying


def test_a_pasted_context_is_all_that_a_test_reads(mean: Any) -> None:
    order = place_order()
    rule = create_rule(Order, slug="mean", author=mean, actions=[ALL])
    address = reverse("admin:rules_engine_rule_test", args=[rule.pk])
    given = {"signal": "post_save", "operation": "update", "context": json.dumps({"instance": {"pk": order.pk}})}
    given |= {"changes-TOTAL_FORMS": "0", "changes-INITIAL_FORMS": "0"}
    given |= {"form-TOTAL_FORMS": "0", "form-INITIAL_FORMS": "0"}
    page = client_of(mean).post(address, given)
    assert not page.context_data["form"].errors, page.context_data["form"].errors  # type: ignore[attr-defined]
    assert page.context_data["rule_test"]["state"] == "open"  # type: ignore[attr-defined]
    assert SECRET not in page.content.decode()


@pytest.mark.parametrize("page", ["test", "backtest", "shadow"])
def test_a_rule_that_reads_what_one_may_not_view_is_not_tested_for_one(mean: Any, page: str) -> None:
    place_order()
    rule = Rule.objects.get()
    address = reverse(f"admin:rules_engine_rule_{page}", args=[rule.pk])
    assert client_of(mean).get(address).status_code == 403
    assert client_of(mean).post(address, {"context": "{}"}).status_code in (403, 200)
    assert SECRET not in client_of(mean).post(address, {"context": "{}"}).content.decode()


def test_shadow_shows_of_an_event_what_its_viewer_may_view(mean: Any) -> None:
    rule = create_rule(Order, slug="shade", author=mean, shadow=True, actions=[ALL])
    place_order()
    page = client_of(mean).get(reverse("admin:rules_engine_rule_shadow", args=[rule.pk]))
    assert page.context_data["count"] == 1  # type: ignore[attr-defined]
    assert SECRET not in page.content.decode()


def test_copies_give_no_power(mean: Any) -> None:
    place_order()
    rule = Rule.objects.get()
    chosen = {"action": "duplicate", "_selected_action": [rule.pk]}
    answer = client_of(mean).post(reverse("admin:rules_engine_rule_changelist"), chosen, follow=True)
    assert "you lack the permission accounts.view_user" in answer.content.decode()
    assert Rule.objects.count() == 1
