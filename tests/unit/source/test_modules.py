"""Whole rules as Python: what stands above a rule, what is said instead of code, and that all of it can be compiled."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from rules_engine.source.module import python_of
from rules_engine.types import ActionSpec, RuleSpec

LOG = ActionSpec("log_message", {"message": "x"})


def rule(*actions: ActionSpec, **fields: Any) -> RuleSpec:
    usual = {"slug": "r", "name": "r", "model": "shop.order", "signals": ("post_save",)}
    return RuleSpec(**{**usual, **fields}, actions=actions or (LOG,))


def printed(*rules: RuleSpec) -> str:
    """The module, which Python can read."""
    text = python_of(list(rules))
    compile(text, "rules.py", "exec")
    return text


def log(message: str) -> ActionSpec:
    return ActionSpec("log_message", {"message": message})


def changing(target: str, *values: dict[str, Any], **config: Any) -> ActionSpec:
    return ActionSpec("update_objects", {"target": target, "values": list(values), **config})


@pytest.mark.parametrize(
    ("fields", "comment"),
    [
        ({"description": "Tells the warehouse."}, '# The rule "r". Tells the warehouse.'),
        ({"shadow": True}, "# It runs in shadow: the rule records and does nothing, what follows would act."),
        ({"stop_processing": True}, "# Once it matches, later rules are not tried on the same event;"),
        ({"once": True}, "# It acts once for each object; receivers do not know that."),
        ({"throttle_count": 2, "throttle_seconds": 60}, "# It acts at most 2 times in 60 seconds;"),
        ({"coalesce_seconds": 60}, "# Of several matches in 60 seconds only the last one acts;"),
        ({"coalesce_seconds": 0}, "# Of several matches in one transaction only the last one acts;"),
        ({"active_from": datetime(2031, 1, 1, tzinfo=UTC)}, "# It is active between two dates;"),
        ({"sample_percent": 5}, "# It is tried on 5 percent of all events;"),
    ],
    ids=str,
)
def test_what_receivers_cannot_do_is_said_above_them(fields: dict[str, Any], comment: str) -> None:
    assert comment in printed(rule(**fields))


@pytest.mark.parametrize(
    ("action", "comment"),
    [
        (ActionSpec("log_message", LOG.config, delay=60), "# Its action log_message waits for 60 seconds;"),
        (ActionSpec("log_message", LOG.config, at="18:00"), "# Its action log_message waits until 18:00;"),
        (
            ActionSpec("log_message", LOG.config, at="18:00", zone="Europe/Berlin"),
            "# Its action log_message waits until 18:00 in Europe/Berlin;",
        ),
        (ActionSpec("log_message", LOG.config, enabled=False), "# Switched off in it, and left out here: log_message."),
        (
            ActionSpec("log_message", LOG.config, on_failure="stop"),
            "# If its action log_message fails, what comes after",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_unusual_of_an_action_is_said_above_it(action: ActionSpec, comment: str) -> None:
    assert comment in printed(rule(action, log("y")))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"model": "shop.gone"}, "shop.gone"),
        ({"signals": ("post_svae",)}, "post_svae"),
        ({"condition": {"nonsense": []}}, "nonsense"),
        ({"changes": ({"field": "statsu"},)}, "statsu"),
    ],
    ids=str,
)
def test_of_a_rule_that_does_not_work_the_problems_stand_in_its_place(fields: dict[str, Any], said: str) -> None:
    text = printed(rule(**fields))
    assert "# It cannot be written in Python, because it does not work as it is stored:" in text
    assert said in text
    assert "@receiver" not in text


def test_a_kind_that_is_not_here_stands_with_its_problem() -> None:
    text = printed(rule(ActionSpec("send_emial", {})))
    assert "send_emial" in text
    assert "@receiver" not in text


def test_rules_of_one_name_get_functions_of_two() -> None:
    text = printed(rule(slug="mail-it"), rule(slug="mail_it"), rule(slug="mail.it", name="x"))
    names = [line for line in text.splitlines() if line.startswith("def mail_it")]
    assert len(set(names)) == len(names) == 3


@pytest.mark.parametrize("slug", ["class", "7-days", "ü", "-", "import-os"])
def test_a_function_has_a_name_that_python_takes(slug: str) -> None:
    assert f'@receiver(post_save, sender=Order, dispatch_uid="{slug}")' in printed(rule(slug=slug))


def test_a_class_that_two_apps_have_is_told_apart() -> None:
    keeper = rule(model="zoo.animal", slug="a", condition={"==": [{"var": "instance.name"}, "Rex"]})
    text = printed(rule(), keeper)
    assert "from project.shop.models import Order" in text
    assert "from tests.zoo.models import Animal" in text


# Conditions


def var(path: str) -> dict[str, str]:
    return {"var": path}


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        ({"==": [var("instance.status"), "paid"]}, 'if instance.status != "paid":'),
        ({"!": {"==": [var("instance.status"), "paid"]}}, 'if instance.status == "paid":'),
        ({"===": [var("instance.customer_id"), None]}, "if instance.customer_id is not None:"),
        ({"!=": [var("instance.customer"), None]}, "if instance.customer is None:"),
        ({">": [var("instance.total"), 100]}, "if instance.total <= 100:"),
        ({"<": [10, var("instance.total"), 100]}, "10 < instance.total"),
        ({"in": [var("instance.status"), ["paid", "open"]]}, "instance.status"),
        ({">": [var("instance.status_changed_at"), "2031-01-01"]}, "ordered(operator.gt, instance.status_changed_at"),
        ({"==": [var("instance.total"), 0.1]}, "same(instance.total, 0.1)"),
        ({"some": [var("instance.items"), {">": [var("quantity"), 2]}]}, "for "),
        ({">": [var("instance.items__count"), 2]}, "instance.items.count() <= 2"),
        ({">": [var("instance.items__quantity__sum"), 2]}, 'aggregate(found=Sum("quantity"))'),
        ({"==": [var("actor.username"), "ada"]}, 'getattr(current_user(), "username", None)'),
        ({"==": [var("request.path"), "/"]}, 'getattr(current_request(), "path", None)'),
        ({"==": [var("event.operation"), "create"]}, '"create" if created else "update"'),
        ({"==": [var("created"), True]}, "if not created:"),
        ({"!=": [var("old.status"), "paid"]}, '(old or {}).get("status")'),
        ({"in": ["status", var("changed")]}, "changed"),
        ({"==": [var("changes.status.old"), "open"]}, 'changes.get("status", {}).get("old")'),
    ],
    ids=str,
)
def test_a_condition_is_written_as_a_developer_would(condition: Any, code: str) -> None:
    assert code in printed(rule(condition=condition))


# Actions that write rows


@pytest.mark.parametrize(
    ("action", "code"),
    [
        (
            changing("instance", {"field": "status", "value": "paid"}),
            'names = set_values(row, status="paid")',
        ),
        (
            changing("items", {"field": "quantity", "value": "1", "how": "increment"}),
            'row.quantity = F("quantity") + 1',
        ),
        (
            changing("items", {"field": "quantity", "value": "-1", "how": "increment"}),
            'row.quantity = F("quantity") + (-1)',
        ),
        (
            changing("items", {"field": "unit_price", "value": "1.5", "how": "increment"}),
            'row.unit_price = F("unit_price") + Decimal("1.5")',
        ),
        (
            changing("items.product", {"field": "name", "value": "!", "how": "append"}),
            'row.name = Concat(F("name"), Value("!"))',
        ),
        (
            changing("items", {"field": "quantity", "value": "1"}, one_statement=True),
            'values("items__pk")).update(',
        ),
        (
            ActionSpec(
                "create_object",
                {
                    "model": "shop.statushistory",
                    "values": [
                        {"field": "order", "value": "{{ instance.pk }}"},
                        {"field": "to_status", "value": "paid"},
                    ],
                    "unless_exists": ["order"],
                },
            ),
            "if not StatusHistory.objects.filter(order_id=instance.pk).exists():",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_rows_are_written_as_a_developer_would(action: ActionSpec, code: str) -> None:
    assert code in printed(rule(action))


def test_rows_of_a_deleted_object_are_remembered_while_it_goes() -> None:
    text = printed(rule(changing("items", {"field": "quantity", "value": "1"}), signals=("pre_delete",)))
    assert 'items_before = list(instance.items.order_by().values_list("pk", flat=True))' in text


@pytest.mark.parametrize("signal", ["post_delete", "pre_delete", "pre_save", "post_save"])
@pytest.mark.parametrize("path", ["instance.pk", "instance.customer.email", "event.pk", "event.operation", "created"])
def test_a_text_reads_any_path_at_any_signal(signal: str, path: str) -> None:
    assert "logger.info" in printed(rule(log("{{ " + path + " }}"), signals=(signal,)))


@pytest.mark.parametrize(
    "text",
    [
        "{{ what_happened }}",
        "{{ admin_url }}",
        "{{ changes }}",
        "{{ old }}",
        "{{ instance.items|length }}",
        "{{ actor }}",
    ],
)
@pytest.mark.parametrize("signals", [("post_save",), ("post_delete",)])
def test_whole_parts_of_the_context_are_written(text: str, signals: tuple[str, ...]) -> None:
    assert "logger.info" in printed(rule(log(text), signals=signals))


@pytest.mark.parametrize("part", ["field", "action", "side", "pks", "count", "objects"])
def test_what_a_change_of_a_relation_says_is_written(part: str) -> None:
    product = rule(log("{{ m2m." + part + " }}"), model="shop.product", signals=("m2m_changed",))
    assert "@receiver(m2m_changed, sender=Product.tags.through" in printed(product)


def test_a_change_of_nothing_is_compared_as_the_rule_does() -> None:
    wanted = ({"field": "customer", "from": None}, {"field": "total", "to": 5})
    text = printed(rule(changes=wanted))
    assert 'if changes["customer"]["old"] is not None:' in text
    assert 'if not same(changes["total"]["new"], 5):' in text


def test_of_what_is_deleted_the_fields_are_the_old_ones() -> None:
    text = printed(rule(log("{{ old.status }} {{ changes }} {{ changed }}"), signals=("pre_delete",)))
    assert '"status": instance.status' in text
    assert "changes = {}" in text
    assert "changed = []" in text
    assert "changed = []" not in printed(rule(log("{{ old.status }}"), signals=("pre_delete",)))


def test_a_row_is_saved_where_it_differs_or_is_worked_out() -> None:
    worked_out = printed(rule(changing("items", {"field": "quantity", "value": "1", "how": "increment"})))
    assert "row.save(update_fields=names)" in worked_out
    assert "if names:" not in worked_out
    assert "if names:" in printed(rule(changing("items", {"field": "quantity", "value": "1"})))
