"""Conditions as Python: what is printed for each operator, and that it comes to what the rule comes to."""

from __future__ import annotations

import json
import math
import operator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from rules_engine.errors import ConditionError
from rules_engine.logic import jsonlogic
from rules_engine.source.comparing import negated
from rules_engine.source.logic import condition, expression
from rules_engine.source.printed import FUNCTIONS
from rules_engine.source.writer import Module, Value, Writer
from rules_engine.types import RuleSpec
from tests.zoo.models import Animal, Keeper


def of(path: str) -> dict[str, str]:
    """A field of the animal, as a condition names it."""
    return {"var": f"instance.{path}"}


def written(logic: Any) -> Value:
    return expression(Writer(Module(), RuleSpec(slug="rule", model="zoo.animal"), ("post_save",)), logic)


@pytest.mark.parametrize(
    ("logic", "code", "kind"),
    [
        ({"==": [of("name"), "Rex"]}, 'instance.name == "Rex"', "boolean"),
        ({"==": ["Rex", of("name")]}, 'instance.name == "Rex"', "boolean"),
        ({"!=": [of("name"), "Rex"]}, 'instance.name != "Rex"', "boolean"),
        ({"==": [of("name"), ""]}, 'instance.name == ""', "boolean"),
        ({"==": [of("name"), None]}, 'instance.name == ""', "boolean"),
        ({"!=": [of("name"), None]}, 'instance.name != ""', "boolean"),
        ({"==": [of("weight"), None]}, "instance.weight in (None, 0)", "boolean"),
        ({"==": [of("weight"), 0]}, "instance.weight in (None, 0)", "boolean"),
        ({"==": [of("weight"), 5]}, "instance.weight == 5", "boolean"),
        ({"==": [of("weight"), 0.1]}, "same(instance.weight, 0.1)", "boolean"),
        ({"==": [of("legs"), of("weight")]}, "same(instance.legs, instance.weight)", "boolean"),
        ({"==": [of("legs"), 4]}, "instance.legs == 4", "boolean"),
        ({"==": [of("legs"), "4"]}, 'same(instance.legs, "4")', "boolean"),
        ({"==": [of("born"), "2026-01-31"]}, 'instance.born == date.fromisoformat("2026-01-31")', "boolean"),
        ({"!=": [of("born"), "2026-01-31"]}, 'instance.born != date.fromisoformat("2026-01-31")', "boolean"),
        ({"==": [of("born"), "31.1.2026"]}, 'same(instance.born, "31.1.2026")', "boolean"),
        ({"==": [of("born"), "2026-1-31"]}, 'same(instance.born, "2026-1-31")', "boolean"),
        ({"==": [of("born"), None]}, "instance.born is None", "boolean"),
        ({"!=": [of("fed_at"), None]}, "instance.fed_at is not None", "boolean"),
        ({"==": [of("keeper"), None]}, "instance.keeper is None", "boolean"),
        ({"==": [{"var": "created"}, True]}, "created", "boolean"),
        ({"==": [{"var": "created"}, False]}, "not created", "boolean"),
        ({"!=": [{"var": "created"}, True]}, "not created", "boolean"),
        ({"==": [{"var": "old.name"}, "Rex"]}, '(old or {}).get("name") == "Rex"', "boolean"),
        ({"==": [of("name"), {"var": "old.name"}]}, 'same(instance.name, (old or {}).get("name"))', "boolean"),
        ({"==": [of("data"), 1]}, "same(instance.data, 1)", "boolean"),
        ({"==": [of("name")]}, 'not_in_python(\'{"==": [{"var": "instance.name"}]}\')', "any"),
        ({"==": [of("keeper.name"), "Ann"]}, '(instance.keeper.name if instance.keeper else None) == "Ann"', "boolean"),
        (
            {"==": [of("keeper.name"), ""]},
            '(instance.keeper.name if instance.keeper else None) in (None, "")',
            "boolean",
        ),
    ],
)
def test_what_is_equal_is_told_by_what_the_field_holds(logic: Any, code: str, kind: str) -> None:
    value = written(logic)
    assert (value.code, value.kind) == (code, kind)
    compile(value.code, "printed", "eval")


@pytest.mark.parametrize(
    ("logic", "code", "kind"),
    [
        ({"===": [of("name"), "Rex"]}, 'instance.name == "Rex"', "boolean"),
        ({"!==": [of("name"), "Rex"]}, 'instance.name != "Rex"', "boolean"),
        ({"===": [of("weight"), None]}, "instance.weight is None", "boolean"),
        ({"!==": [of("weight"), None]}, "instance.weight is not None", "boolean"),
        ({"===": [of("legs"), 4]}, "instance.legs == 4", "boolean"),
        ({"===": [of("legs"), "4"]}, 'identical(instance.legs, "4")', "boolean"),
        ({"===": [of("weight"), 0.5]}, "identical(instance.weight, 0.5)", "boolean"),
        ({"===": [{"var": "created"}, True]}, "created is True", "boolean"),
        ({"!==": [{"var": "created"}, False]}, "created is not False", "boolean"),
        ({"===": [of("name")]}, 'not_in_python(\'{"===": [{"var": "instance.name"}]}\')', "any"),
    ],
)
def test_what_is_the_same_is_told_by_type_and_value(logic: Any, code: str, kind: str) -> None:
    value = written(logic)
    assert (value.code, value.kind) == (code, kind)
    compile(value.code, "printed", "eval")


@pytest.mark.parametrize(
    ("logic", "code", "kind"),
    [
        ({">": [of("legs"), 4]}, "instance.legs > 4", "boolean"),
        ({">=": [of("weight"), 10]}, "instance.weight is not None and instance.weight >= 10", "boolean"),
        (
            {"<": [of("weight"), of("legs")]},
            "instance.weight is not None and instance.weight < instance.legs",
            "boolean",
        ),
        ({"<": [1, of("legs"), 4]}, "1 < instance.legs and instance.legs < 4", "boolean"),
        (
            {">": [of("born"), "2026-01-31"]},
            'instance.born is not None and instance.born > date.fromisoformat("2026-01-31")',
            "boolean",
        ),
        (
            {"<": ["2026-01-31", of("born")]},
            'instance.born is not None and date.fromisoformat("2026-01-31") < instance.born',
            "boolean",
        ),
        ({"<": [of("born"), "soon"]}, 'ordered(operator.lt, instance.born, "soon")', "boolean"),
        ({">": [of("name"), "M"]}, 'instance.name > "M"', "boolean"),
        ({">": [of("name"), 5]}, "ordered(operator.gt, instance.name, 5)", "boolean"),
        ({"<": [of("fed_at"), {"now": []}]}, "ordered(operator.lt, instance.fed_at, timezone.now())", "boolean"),
        ({">": [of("legs"), None]}, "ordered(operator.gt, instance.legs, None)", "boolean"),
        ({"<": [of("weight"), 0.5]}, "ordered(operator.lt, instance.weight, 0.5)", "boolean"),
        ({"<": [of("legs")]}, 'not_in_python(\'{"<": [{"var": "instance.legs"}]}\')', "any"),
    ],
)
def test_order_never_holds_of_a_field_that_is_empty(logic: Any, code: str, kind: str) -> None:
    value = written(logic)
    assert (value.code, value.kind) == (code, kind)
    compile(value.code, "printed", "eval")


@pytest.mark.parametrize(
    ("logic", "code", "kind"),
    [
        ({"!": [of("name")]}, "not instance.name", "boolean"),
        ({"!!": [of("name")]}, "bool(instance.name)", "boolean"),
        ({"!": [{">": [of("legs"), 4]}]}, "instance.legs <= 4", "boolean"),
        ({"!": [{"==": [of("name"), "Rex"]}]}, 'instance.name != "Rex"', "boolean"),
        ({"!": []}, "not None", "boolean"),
        ({"and": [of("name"), {">": [of("legs"), 4]}]}, "instance.name and instance.legs > 4", "any"),
        (
            {"or": [of("name"), {"and": [of("name"), of("legs")]}]},
            "instance.name or instance.name and instance.legs",
            "any",
        ),
        (
            {"and": [{"or": [of("name"), of("legs")]}, of("legs")]},
            "(instance.name or instance.legs) and instance.legs",
            "any",
        ),
        ({"if": [of("name"), 1, 2]}, "1 if instance.name else 2", "integer"),
        (
            {"if": [of("name"), "a", of("legs"), "b", "c"]},
            '"a" if instance.name else "b" if instance.legs else "c"',
            "text",
        ),
        ({"if": [of("name"), 1]}, "1 if instance.name else None", "integer"),
        ({"?:": [of("name"), None, 1]}, "None if instance.name else 1", "integer"),
        ({"??": [of("weight"), 0]}, "instance.weight if instance.weight is not None else 0", "decimal"),
        ({"??": [of("name"), "x"]}, "instance.name", "text"),
    ],
)
def test_and_or_not_and_if_are_pythons_own(logic: Any, code: str, kind: str) -> None:
    value = written(logic)
    assert (value.code, value.kind) == (code, kind)
    compile(value.code, "printed", "eval")


@pytest.mark.parametrize(
    ("logic", "code", "kind"),
    [
        ({"cat": [of("name"), " (", of("legs"), ")"]}, 'instance.name + " (" + text(instance.legs) + ")"', "text"),
        ({"cat": []}, '""', "text"),
        (
            {"cat": [of("keeper.name"), "!"]},
            '((instance.keeper.name if instance.keeper else None) or "") + "!"',
            "text",
        ),
        ({"lower": [of("name")]}, "instance.name.lower()", "text"),
        ({"upper": [of("weight")]}, "text(instance.weight).upper()", "text"),
        ({"trim": [of("name")]}, "instance.name.strip()", "text"),
        ({"starts_with": [of("name"), "R"]}, 'instance.name.startswith("R")', "boolean"),
        ({"ends_with": [of("name"), of("notes")]}, "instance.name.endswith(instance.notes)", "boolean"),
        ({"substr": [of("name"), -3]}, "substr(instance.name, -3)", "text"),
        ({"substr": [of("name"), 1, 2]}, "substr(instance.name, 1, 2)", "text"),
        ({"in": ["R", of("name")]}, '"R" in instance.name', "boolean"),
        ({"in": [of("name"), ["a", "b"]]}, 'instance.name in ("a", "b")', "boolean"),
        ({"in": [of("name"), ["a"]]}, 'instance.name in ("a",)', "boolean"),
        ({"in": [of("name"), []]}, "instance.name in ()", "boolean"),
        ({"in": [of("born"), ["2026-01-31"]]}, 'plain(instance.born) in ("2026-01-31",)', "boolean"),
        ({"in": ["name", {"var": "changed"}]}, '"name" in changed', "boolean"),
        (
            {"in": [of("weight"), of("name")]},
            'not_in_python(\'{"in": [{"var": "instance.weight"}, {"var": "instance.name"}]}\')',
            "any",
        ),
        (
            {"in": ["R", of("keeper.name")]},
            '"R" in ((instance.keeper.name if instance.keeper else None) or "")',
            "boolean",
        ),
        ({"in": [of("name"), "Rex"]}, 'instance.name in "Rex"', "boolean"),
        ({"in": [of("legs"), [4, 2, None, True]]}, "instance.legs in (4, 2, None, True)", "boolean"),
    ],
)
def test_texts_are_joined_searched_and_cut(logic: Any, code: str, kind: str) -> None:
    value = written(logic)
    assert (value.code, value.kind) == (code, kind)
    compile(value.code, "printed", "eval")


@pytest.mark.parametrize(
    ("logic", "code", "kind"),
    [
        (
            {"some": [of("tags"), {"==": [{"var": "name"}, "wild"]}]},
            'any(row.name == "wild" for row in instance.tags.all())',
            "boolean",
        ),
        (
            {"none": [of("tags"), {"==": [{"var": "name"}, "wild"]}]},
            'not any(row.name == "wild" for row in instance.tags.all())',
            "boolean",
        ),
        (
            {"all": [of("tags"), {"!=": [{"var": "name"}, ""]}]},
            'every(instance.tags.all(), lambda row: row.name != "")',
            "boolean",
        ),
        ({"filter": [of("meals"), {"var": "is_warm"}]}, "[row for row in instance.meals.all() if row.is_warm]", "list"),
        ({"map": [of("meals"), {"var": "price"}]}, "[row.price for row in instance.meals.all()]", "list"),
        ({"length": [of("tags")]}, "instance.tags.count()", "integer"),
        ({"length": [of("name")]}, "len(instance.name)", "integer"),
        (
            {"length": [{"filter": [of("meals"), {">": [{"var": "portions"}, 1]}]}]},
            "len([row for row in instance.meals.all() if row.portions > 1])",
            "integer",
        ),
        (
            {"reduce": [of("meals"), {"+": [{"var": "accumulator"}, {"var": "current.portions"}]}, 0]},
            "reduce(lambda accumulator, current: number(accumulator) + current.portions, instance.meals.all(), 0)",
            "any",
        ),
        (
            {"reduce": [of("meals"), {"var": "current"}]},
            'not_in_python(\'{"reduce": [{"var": "instance.meals"}, {"var": "current"}]}\')',
            "any",
        ),
        (
            {"some": [of("tags"), {"some": [{"var": "animals"}, {"==": [{"var": "name"}, "Rex"]}]}]},
            'any(any(row_3.name == "Rex" for row_3 in row.animals.all()) for row in instance.tags.all())',
            "boolean",
        ),
        (
            {"some": [of("meals"), {">": [{"var": "portions"}, {"val": [[2], "instance", "legs"]}]}]},
            "any(row.portions > instance.legs for row in instance.meals.all())",
            "boolean",
        ),
        (
            {"some": [of("meals"), {"val": [[1], "name"]}]},
            'any(not_in_python(\'{"val": [[1], "name"]}\') for row in instance.meals.all())',
            "boolean",
        ),
        ({"some": [[1, 2], {">": [{"var": ""}, 1]}]}, "any(ordered(operator.gt, row, 1) for row in [1, 2])", "boolean"),
        ({"merge": [[1], [2, 3]]}, "merge([1], [2, 3])", "list"),
        (
            {"some": [of("keeper.animals"), {"var": "name"}]},
            "any(row.name for row in ((instance.keeper.animals.all() if instance.keeper else None) or ()))",
            "boolean",
        ),
        (
            {"some": [of("data"), {"var": "a.b"}]},
            'any(read(row, "a", "b") for row in (instance.data or ()))',
            "boolean",
        ),
        ({"map": [of("data"), {"var": ""}]}, "[row for row in (instance.data or ())]", "list"),
    ],
)
def test_rows_are_asked_one_by_one(logic: Any, code: str, kind: str) -> None:
    value = written(logic)
    assert (value.code, value.kind) == (code, kind)
    compile(value.code, "printed", "eval")


@pytest.mark.parametrize(
    ("logic", "code", "kind"),
    [
        ({"exists": ["instance", "name"]}, "True", "boolean"),
        ({"exists": ["nobody"]}, 'not_in_python(\'{"exists": ["nobody"]}\')', "any"),
        ({"missing": ["instance.name"]}, "[]", "list"),
        ({"missing": ["instance.a.b"]}, 'not_in_python(\'{"missing": ["instance.a.b"]}\')', "any"),
        ({"max": [of("legs"), of("weight")]}, "max(instance.legs, instance.weight)", "any"),
        ({"min": [of("legs"), 1]}, "min(instance.legs, 1)", "integer"),
        ({"abs": [of("weight")]}, "abs(instance.weight)", "decimal"),
        ({"ceil": [of("weight")]}, "math.ceil(instance.weight)", "integer"),
        ({"floor": [of("legs")]}, "math.floor(instance.legs)", "integer"),
        ({"+": [of("legs"), 1]}, "instance.legs + 1", "integer"),
        ({"-": [of("weight")]}, "-instance.weight", "decimal"),
        ({"*": [of("legs"), of("weight")]}, "instance.legs * instance.weight", "decimal"),
        ({"/": [of("legs"), 2]}, "instance.legs / 2", "float"),
        ({"%": [of("legs"), 2]}, "math.fmod(instance.legs, 2)", "float"),
        ({"+": [of("name"), 1]}, "number(instance.name) + 1", "float"),
        ({"now": []}, "timezone.now()", "datetime"),
        ({"log": ["x"]}, 'not_in_python(\'{"log": ["x"]}\')', "any"),
        ({"a": 1, "b": 2}, 'not_in_python(\'{"a": 1, "b": 2}\')', "any"),
        ({}, 'not_in_python("{}")', "any"),
        ([], "[]", "list"),
        ([1, of("name"), "x"], '[1, instance.name, "x"]', "list"),
        (None, "None", "null"),
        (True, "True", "boolean"),
        (-1, "-1", "integer"),
        (-1.5, "-1.5", "float"),
        ('a"b', "'a\"b'", "text"),
    ],
)
def test_numbers_lists_and_what_has_no_form_in_python(logic: Any, code: str, kind: str) -> None:
    value = written(logic)
    assert (value.code, value.kind) == (code, kind)
    compile(value.code, "printed", "eval")


REX = {"name": "Rex", "weight": "12.50", "legs": 4, "born": "2026-01-31", "notes": "Rex"}
NOBODY = {"name": "", "weight": None, "legs": 0, "born": None, "notes": ""}
HOSTILE = {"name": "\u202e<b>\x00{{ 7 }}'\"", "weight": "0.10", "legs": -1, "born": "0001-01-01", "notes": "\n\\"}


def animal(data: dict[str, Any]) -> Animal:
    weight, born = data["weight"], data["born"]
    return Animal(
        **{**data, "weight": None if weight is None else Decimal(weight), "born": born and date.fromisoformat(born)},
        keeper=Keeper(name="Ann"),
    )


def as_stored(data: dict[str, Any]) -> dict[str, Any]:
    weight = data["weight"]
    return {**data, "weight": None if weight is None else float(weight), "keeper": {"name": "Ann"}}


def printed_names() -> dict[str, Any]:
    """What a printed module has at hand."""
    names: dict[str, Any] = {"Decimal": Decimal, "date": date, "math": math, "operator": operator}
    for function in FUNCTIONS.values():
        exec(function.source, names)
    return names


PRINTED = printed_names()
ALIKE = [
    {"==": [of("name"), "Rex"]},
    {"==": ["Rex", of("name")]},
    {"!=": [of("name"), "Rex"]},
    {"==": [of("name"), ""]},
    {"==": [of("name"), None]},
    {"!=": [of("name"), None]},
    {"==": [of("weight"), None]},
    {"==": [of("weight"), 0]},
    {"==": [of("weight"), 5]},
    {"==": [of("weight"), 0.1]},
    {"==": [of("legs"), of("weight")]},
    {"==": [of("legs"), 4]},
    {"==": [of("legs"), "4"]},
    {"==": [of("born"), "2026-01-31"]},
    {"!=": [of("born"), "2026-01-31"]},
    {"==": [of("born"), "31.1.2026"]},
    {"==": [of("born"), "2026-1-31"]},
    {"==": [of("born"), None]},
    {"==": [of("keeper.name"), "Ann"]},
    {"==": [of("keeper.name"), ""]},
    {"===": [of("name"), "Rex"]},
    {"!==": [of("name"), "Rex"]},
    {"===": [of("weight"), None]},
    {"!==": [of("weight"), None]},
    {"===": [of("legs"), 4]},
    {"===": [of("legs"), "4"]},
    {"===": [of("weight"), 0.5]},
    {">": [of("legs"), 4]},
    {">=": [of("weight"), 10]},
    {"<": [of("weight"), of("legs")]},
    {"<": [1, of("legs"), 4]},
    {"<=": [0, of("weight"), 100]},
    {">": [of("born"), "2026-01-31"]},
    {"<": ["2026-01-31", of("born")]},
    {"<": [of("born"), "soon"]},
    {">": [of("name"), "M"]},
    {">": [of("name"), 5]},
    {">": [of("legs"), None]},
    {"<": [of("weight"), 0.5]},
    {"!": [of("name")]},
    {"!!": [of("name")]},
    {"!": [{">": [of("legs"), 4]}]},
    {"!": [{"==": [of("name"), "Rex"]}]},
    {"and": [of("name"), {">": [of("legs"), 4]}]},
    {"or": [of("name"), {"and": [of("name"), of("legs")]}]},
    {"and": [{"or": [of("name"), of("legs")]}, of("legs")]},
    {"if": [of("name"), 1, 2]},
    {"if": [of("name"), "a", of("legs"), "b", "c"]},
    {"if": [of("name"), 1]},
    {"?:": [of("name"), None, 1]},
    {"??": [of("weight"), 0]},
    {"??": [of("name"), "x"]},
    {"??": [of("weight"), of("keeper.name"), 0]},
    {"cat": [of("name"), " (", of("legs"), ")"]},
    {"cat": [of("keeper.name"), "!"]},
    {"lower": [of("name")]},
    {"upper": [of("weight")]},
    {"trim": [of("name")]},
    {"starts_with": [of("name"), "R"]},
    {"ends_with": [of("name"), of("notes")]},
    {"substr": [of("name"), -3]},
    {"substr": [of("name"), 1, 2]},
    {"in": ["R", of("name")]},
    {"in": [of("name"), ["a", "b"]]},
    {"in": [of("name"), ["a"]]},
    {"in": [of("name"), []]},
    {"in": [of("born"), ["2026-01-31"]]},
    {"in": ["R", of("keeper.name")]},
    {"in": [of("name"), "Rex"]},
    {"in": [of("legs"), [4, 2, None, True]]},
    {"max": [of("legs"), of("weight")]},
    {"min": [of("legs"), 1]},
    {"abs": [of("weight")]},
    {"ceil": [of("weight")]},
    {"floor": [of("legs")]},
    {"+": [of("legs"), 1]},
    {"-": [of("weight")]},
    {"*": [of("legs"), of("weight")]},
    {"/": [of("legs"), 2]},
    {"%": [of("legs"), 2]},
    {"+": [of("name"), 1]},
    [1, of("name"), "x"],
]


def comes_to(work: Any) -> Any:
    """A value as JSON has it, or that there is none."""
    try:
        found = work()
    except (ConditionError, TypeError, ValueError, ArithmeticError):
        return "an error"
    return float(found) if isinstance(found, Decimal) else found


@pytest.mark.parametrize("data", [REX, NOBODY, HOSTILE], ids=["rex", "nobody", "hostile"])
@pytest.mark.parametrize("logic", ALIKE, ids=json.dumps)
def test_what_is_printed_comes_to_what_the_rule_comes_to(logic: Any, data: dict[str, Any]) -> None:
    names = {**PRINTED, "instance": animal(data)}
    handle = jsonlogic.data_handle({"instance": as_stored(data)})
    by_python = comes_to(lambda: eval(written(logic).code, names))
    by_rule = comes_to(lambda: jsonlogic.compile_expression(logic).value(handle))
    assert by_python == by_rule


@pytest.mark.parametrize("logic", ALIKE, ids=json.dumps)
def test_the_opposite_that_is_printed_is_the_opposite(logic: Any) -> None:
    for data in (REX, NOBODY, HOSTILE):
        names = {**PRINTED, "instance": animal(data)}
        whole = comes_to(lambda names=names: bool(eval(written(logic).code, names)))
        opposite = comes_to(lambda names=names: bool(eval(negated(written(logic)), names)))
        assert opposite == (whole if whole == "an error" else not whole)


def test_each_part_of_an_and_is_a_gate_of_its_own() -> None:
    writer = Writer(Module(), RuleSpec(slug="rule", model="zoo.animal"), ("post_save",))
    nested = {"and": [{"==": [of("name"), "Rex"]}, {"and": [{">": [of("legs"), 3]}, of("notes")]}]}
    assert [part.code for part in condition(writer, nested)] == [
        'instance.name == "Rex"',
        "instance.legs > 3",
        "instance.notes",
    ]
    assert [part.code for part in condition(writer, {"and": []})] == []
    assert [part.code for part in condition(writer, {"or": [of("name"), of("notes")]})] == [
        "instance.name or instance.notes"
    ]
