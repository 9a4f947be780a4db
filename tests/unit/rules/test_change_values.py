"""Values of change conditions: refused in words where no row has them, and else compared as events carry them."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps

from project.shop.models import Order
from rules_engine.rules.changes import change_problems, compile_changes
from rules_engine.rules.matching import CompiledChange
from tests.zoo.models import Animal, Enclosure, Plaque
from tests.zoo.written import Assorted

#: What people write into a field by mistake, and what programs do.
ODD: list[Any] = [
    *(None, "", 0, 1, -1, 1.5, True, False, "x", "1", " 1 ", "1e400", "NaN", "Infinity", 10**30, 10**300, 2**63),
    *([], {}, [1], {"a": 1}, [None], "2031-01-01", "2031-02-30", "9999-12-31T23:59:59-12:00", "24:00", "\u0661"),
    *(
        "a\x00b",
        "\ud800",
        "x" * 20_000,
        "null",
        float("nan"),
        float("inf"),
        "1 00:00:00",
        "P1D",
        "PAID",
        b"x",
        object(),
    ),
]


@pytest.mark.parametrize("app", ["zoo", "shop", "auth"])
def test_a_value_that_is_no_problem_can_be_compared_with(app: str) -> None:
    # Whatever is written: a sentence beforehand, or no error later, when rules are compiled in every process.
    for model in apps.get_app_config(app).get_models():
        for name in (field.name for field in model._meta.get_fields()):
            for value in ODD:
                change = {"field": name, "to": value}
                problems = list(change_problems(model, [change]))
                assert all(problem.message.endswith((".", "?")) for problem in problems)
                if not problems:
                    [compiled] = compile_changes(model, [change])
                    assert isinstance(compiled, CompiledChange)


@pytest.mark.parametrize(
    ("model", "field", "written", "compared"),
    [
        (Animal, "legs", "4", 4),
        (Animal, "legs", 4.0, 4),
        (Animal, "weight", 2, "2.00"),
        (Animal, "weight", "2.5", "2.50"),
        (Animal, "born", "2031-05-06", "2031-05-06"),
        (Animal, "fed_at", "2031-05-06T08:00:00+02:00", "2031-05-06T06:00:00+00:00"),
        (Animal, "name", "", ""),
        (Animal, "name", 7, "7"),
        (Animal, "keeper", "7", 7),
        (Animal, "data", {"a": [1, 1e2]}, {"a": [1, 100.0]}),
        (Animal, "data", "text", "text"),
        (Assorted, "flag", "True", True),
        (Assorted, "clock", "08:30", "08:30:00"),
        (Assorted, "length", "00:01:00", 60.0),
        (Assorted, "code", "00000000000000000000000000000007", "00000000-0000-0000-0000-000000000007"),
        (Assorted, "address", "2001:0DB8::1", "2001:db8::1"),
        (Order, "status", "paid", "paid"),
    ],
)
def test_a_value_is_compared_in_the_form_that_events_carry(model: Any, field: str, written: Any, compared: Any) -> None:
    change = {"field": field, "from": written, "to": None}
    assert list(change_problems(model, [change])) == []
    [compiled] = compile_changes(model, [change])
    assert str(compiled.old) == str(compared)
    assert (compiled.has_old, compiled.has_new, compiled.new) == (True, True, None)


@pytest.mark.parametrize(
    ("model", "change", "pointer", "said"),
    [
        (Animal, {}, "/changes/0/field", "Name the field whose change matters."),
        (Animal, {"field": ""}, "/changes/0/field", "Name the field whose change matters."),
        (Animal, {"field": ["legs"]}, "/changes/0/field", "Name the field whose change matters."),
        (
            None,
            {"field": "legs"},
            "/changes/0/field",
            "A rule that listens to no model has no fields that could change.",
        ),
        (Animal, {"field": "legs", "to": {}}, "/changes/0/to", 'Expected one value of "legs", and got {}.'),
        (Animal, {"field": "name", "from": ["a"]}, "/changes/0/from", "Expected one value of \"name\", and got ['a']."),
        (Animal, {"field": "tags", "to": 1}, "/changes/0", '"tags" holds many objects, so it has no "from" or "to".'),
        (Plaque, {"field": "size", "to": "huge"}, "/changes/0/to", "'huge' is no value of \"size\"."),
        (Order, {"field": "status", "to": "payed"}, "/changes/0/to", 'Did you mean "paid"?'),
        (Animal, {"field": "legs", "to": "1e400"}, "/changes/0/to", "'1e400' is no value of \"legs\""),
        (Assorted, {"field": "number", "to": float("inf")}, "/changes/0/to", 'inf is no value of "number"'),
        (Assorted, {"field": "moment", "to": "2031-02-30T00:00"}, "/changes/0/to", 'no value of "moment"'),
    ],
)
def test_a_value_that_no_row_has_is_refused_with_its_place(model: Any, change: Any, pointer: str, said: str) -> None:
    [problem] = change_problems(model, [change])
    assert problem.pointer in (pointer, pointer.removeprefix("/changes"))
    assert said in problem.message


@pytest.mark.parametrize(
    ("model", "field", "value", "is_fine"),
    [
        (Plaque, "size", "", True),
        (Plaque, "size", None, True),
        (Plaque, "size", "s", True),
        (Plaque, "size", "small", False),
        (Order, "status", "draft", True),
        (Order, "status", "", True),
        (Order, "status", 0, False),
    ],
)
def test_what_a_row_may_hold_beside_its_choices_can_be_asked_for(
    model: Any, field: str, value: Any, is_fine: bool
) -> None:
    assert (list(change_problems(model, [{"field": field, "to": value}])) == []) is is_fine


def test_a_relation_of_many_is_compiled_without_values() -> None:
    assert compile_changes(Animal, [{"field": "tags"}]) == (CompiledChange("tags"),)
    assert compile_changes(None, [{"field": "legs"}]) == ()
    [compiled] = compile_changes(Enclosure, [{"field": "house"}])
    assert (compiled.has_old, compiled.has_new) == (False, False)
