"""What a site's own tests have of the engine: rules made, carried out, explained; kinds held to their contract."""

from __future__ import annotations

import unittest
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import TestCase

from project.shop.models import Order
from rules_engine.actions import Action, ActionResult, register_action
from rules_engine.errors import InvalidRule, PermanentError, Rejected, TransientError
from rules_engine.models import Event, Execution, Rule
from rules_engine.rules import registry
from rules_engine.testing import ActionContractTests, create_rule, explain, refresh, reset, run_due
from tests.factories import make_order

pytestmark = pytest.mark.django_db
LOG = ("log_message", {"message": "Order {{ instance.pk }}"})


# Rules that a test makes


def test_a_rule_is_live_at_once_and_named_by_itself() -> None:
    rule = create_rule(Order, actions=[LOG])
    assert rule.name == rule.slug
    make_order()
    assert run_due() == 1


@pytest.mark.parametrize("model", [Order, "shop.order", "shop.Order"])
def test_a_model_is_named_by_its_class_or_its_label(model: Any) -> None:
    assert create_rule(model, actions=[LOG]).model.lower() == "shop.order"


def test_a_third_part_of_an_action_is_what_its_row_has_besides() -> None:
    rule = create_rule(Order, actions=[LOG, (*LOG, {"delay": 60, "enabled": False})])
    first, second = rule.actions.order_by("position")
    assert (first.delay, first.enabled, second.delay, second.enabled) == (0, True, 60, False)
    assert (first.timing, second.timing) == ("after_commit", "after_commit")


@pytest.mark.parametrize(
    ("fields", "pointer", "said"),
    [
        ({"model": "shop.oder"}, "/model", 'Did you mean "shop.order"?'),
        ({"model": ""}, "/model", "post_save"),
        ({"signals": ["post_svae"]}, "/signals/0", 'Did you mean "post_save"?'),
        ({"operations": ["crate"]}, "/operations/0", 'Did you mean "create"?'),
        ({"changes": [{"field": "statsu"}]}, "/changes/0/field", 'Did you mean "status"?'),
        ({"condition": {"==": [{"var": "instance.statsu"}, 1]}}, "/condition/==/0", 'Did you mean "status"?'),
        ({"condition": {"eq": [1, 1]}}, "/condition", "eq"),
        ({"actions": [("log_mesage", {})]}, "/actions/0/kind", 'Did you mean "log_message"?'),
        ({"actions": [("log_message", {})]}, "/actions/0/config", "message"),
        ({"actions": [LOG, (*LOG, {"delay": -1})]}, "/actions/1/delay", "0"),
    ],
    ids=str,
)
def test_a_rule_that_could_not_run_is_refused_with_each_problem(fields: Any, pointer: str, said: str) -> None:
    with pytest.raises(InvalidRule) as refused:
        create_rule(**{"model": Order, "actions": [LOG], **fields})
    assert [problem for problem in refused.value.problems if problem.pointer.startswith(pointer)]
    assert said in str(refused.value)
    assert not Rule.objects.exists()


def test_all_problems_of_a_rule_are_told_together() -> None:
    with pytest.raises(InvalidRule) as refused:
        create_rule(Order, operations=["crate"], actions=[("log_message", {}), ("nothing", {})])
    assert len(refused.value.problems) >= 3


def test_a_slug_that_is_taken_is_the_databases_to_refuse() -> None:
    create_rule(Order, slug="one")
    with pytest.raises(IntegrityError), transaction.atomic():
        create_rule(Order, slug="one")


# Carrying out


def test_only_so_many_are_carried_out_as_are_asked_for() -> None:
    create_rule(Order, actions=[LOG])
    for _ in range(3):
        make_order()
    assert (run_due(limit=0), run_due(limit=2), run_due(limit=2), run_due()) == (0, 2, 1, 0)


def test_what_is_due_later_is_carried_out_then() -> None:
    create_rule(Order, actions=[(*LOG, {"delay": 3600})])
    make_order()
    assert run_due() == 0
    Execution.objects.update(next_attempt_at="2020-01-01T00:00:00Z")
    assert run_due() == 1


# Explaining


@pytest.fixture
def event() -> Event:
    create_rule(Order, slug="all", actions=[LOG])
    make_order(status="draft", total=5)
    return Event.objects.get()


@pytest.mark.parametrize(
    ("fields", "outcome", "gate"),
    [
        ({}, "matched", None),
        ({"operations": ["update"]}, "not_matched", "operations"),
        ({"condition": {">": [{"var": "instance.pk"}, 10**9]}}, "not_matched", "condition"),
        ({"condition": {">": [{"+": [{"var": "event.signal"}, 1]}, 1]}}, "error", "condition"),
    ],
    ids=str,
)
def test_it_is_explained_where_a_rule_stops_on_what_was_recorded(
    event: Event, fields: Any, outcome: str, gate: str | None
) -> None:
    rule = create_rule(Order, actions=[LOG], **fields)
    before = Execution.objects.count()
    for told in (event, event.captured()):
        evaluation = explain(rule, told)
        assert evaluation.outcome == outcome
        assert gate is None or evaluation.gate == gate
    assert Execution.objects.count() == before


def test_a_change_that_was_recorded_is_one_when_it_is_explained() -> None:
    rule = create_rule(Order, changes=[{"field": "status", "to": "paid"}], actions=[LOG])
    order = make_order(status="draft")
    order.status = "paid"
    order.save()
    event = Event.objects.get()
    assert explain(rule, event).outcome == "matched"
    rule.changes = [{"field": "status", "to": "shipped"}]
    rule.save()
    refresh()
    assert explain(rule, event).outcome == "not_matched"


# Forgetting


def test_rules_that_are_forgotten_are_heard_no_more_until_they_are_read() -> None:
    create_rule(Order, actions=[LOG])
    reset()
    make_order()
    assert not Event.objects.exists()
    refresh()
    make_order()
    assert Event.objects.count() == 1


class ARuleOfOneTest(TestCase):
    """As a site on unittest has it: each test in a transaction that is rolled back."""

    @classmethod
    def setUpTestData(cls) -> None:
        cls.rule = create_rule(Order, slug="of-the-class", actions=[LOG])

    def setUp(self) -> None:
        refresh()

    def test_one_rule_of_the_class_acts(self) -> None:
        make_order()
        assert run_due() == 1

    def test_the_rule_of_a_test_is_its_own(self) -> None:
        create_rule(Order, slug="of-the-test", actions=[LOG])
        make_order()
        assert run_due() == 2

    def test_what_a_test_made_is_gone_in_the_next(self) -> None:
        assert list(Rule.objects.values_list("slug", flat=True)) == ["of-the-class"]


# The contract of kinds


class Kind(Action):
    """Does what its config says."""

    kind = "of_a_test"
    label = "Of a test"
    schema: Mapping[str, Any] = {"type": "object", "keys": {"fails": {"type": "string"}}}
    raises: type[Exception] | None = None
    found: Any = ActionResult("Done")
    paths: Any = ()

    def run(self, context: Any, config: Any) -> Any:
        if self.raises is not None:
            raise self.raises("It did not work.")
        return self.found

    def reads(self, config: Any, rule: Any) -> Any:
        return self.paths


@pytest.fixture
def contract() -> Iterator[Any]:
    """The contract's tests of a kind with these attributes, each with what came of it."""

    def tested(**attributes: Any) -> dict[str, str]:
        registry._actions.pop(Kind.kind, None)
        register_action(type("Made", (Kind,), attributes))
        held = type("Held", (ActionContractTests,), {"kind": Kind.kind})()
        failed = {}
        for name in dir(held):
            if name.startswith("test_"):
                try:
                    getattr(held, name)()
                except (AssertionError, ArithmeticError) as error:
                    failed[name] = type(error).__name__
        return failed

    yield tested
    registry._actions.pop(Kind.kind, None)


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"raises": PermanentError},
        {"raises": TransientError},
        {"raises": Rejected, "vetoes": True},
        {"paths": [("instance", "pk")]},
    ],
    ids=str,
)
def test_a_kind_that_holds_to_the_contract_passes(contract: Any, attributes: dict[str, Any]) -> None:
    if attributes.get("vetoes"):
        attributes = {**attributes, "timings": ("before_save",)}
    assert contract(**attributes) == {}


def broken(self: Any, config: Any, rule: Any) -> Any:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("attributes", "failing"),
    [
        ({"found": None}, ["test_it_runs_or_fails_in_words"]),
        ({"found": "Done"}, ["test_it_runs_or_fails_in_words"]),
        ({"raises": ZeroDivisionError}, ["test_it_runs_or_fails_in_words"]),
        ({"raises": Rejected}, ["test_it_runs_or_fails_in_words"]),
        ({"paths": ["instance.pk"]}, ["test_what_it_reads_are_paths"]),
        ({"paths": [()]}, ["test_what_it_reads_are_paths"]),
        ({"label": ""}, ["test_it_names_itself"]),
        ({"schema": {"type": "array"}}, ["test_it_names_itself"]),
    ],
    ids=str,
)
def test_a_kind_that_breaks_the_contract_fails_at_that_place(
    contract: Any, attributes: dict[str, Any], failing: list[str]
) -> None:
    try:
        assert list(contract(**attributes)) == failing
    except Rejected:
        assert attributes == {"raises": Rejected}


def test_a_kind_that_is_not_there_is_named_with_those_that_are() -> None:
    held = type("Held", (ActionContractTests,), {"kind": "log_mesage"})()
    with pytest.raises(AssertionError, match='Did you mean "log_message"'):
        held.test_it_names_itself()


def test_the_suite_of_unittest_finds_the_same() -> None:
    loaded = unittest.defaultTestLoader.loadTestsFromTestCase(ARuleOfOneTest)
    assert loaded.countTestCases() == 3
