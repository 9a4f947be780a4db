from __future__ import annotations

import json
from collections import OrderedDict
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from datalogic_py import Engine
from django.conf import settings
from django.test import override_settings
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from rules_engine.errors import ConditionError, InvalidRule
from rules_engine.logic import jsonlogic
from rules_engine.logic.evaluator import operators
from rules_engine.logic.jsonlogic import Variable
from tests.examples import examples

if not settings.configured:  # as when this folder is run alone, without the project's settings
    settings.configure()

TOTAL = {"var": "instance.total"}
LINES = {"var": "instance.lines"}


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"!": [value]}
    return value


def circular() -> Any:
    logic: dict[str, Any] = {"and": [True]}
    logic["and"].append(logic)
    return logic


def matches(logic: Any, context: dict[str, Any]) -> bool:
    return jsonlogic.compile_condition(logic).matches(jsonlogic.data_handle(context))


# -- Text ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("", "is empty"),
        (" \n ", "is empty"),
        ('\ufeff{"var": "a"}', "byte order mark"),
        ('// why\n{"var": "a"}', "no comments; put remarks into the rule's description (line 1, column 1)"),
        ('{"var": "a" /* why */}', "no comments"),
        ('# why\n{"var": "a"}', "no comments"),
        ('{"==": [{"var": "a"}, NaN]}', "no number NaN; write a finite number, or null (line 1, column 23)"),
        ('{"==": [1, -Infinity]}', "no number -Infinity"),
        ('{"==": [1, 1e999]}', "1e999 is too large"),
        ('{"==": [1, 99999999999999999999]}', "does not fit 64 bits"),
        ('{"==": [1, ' + "9" * 5000 + "]}", "does not fit 64 bits"),
        ('{"var": "a"} {"var": "b"}', "(line 1, column 14): the JSON ends before this, and more text follows"),
        ('{"var": "a",\n "var": "b"}', 'The key "var" stands twice in one object, the second time at line 2, column 2'),
        ('{"var": "a", "v\\u0061r": "b"}', 'The key "var" stands twice'),
        ("{'var': 'a'}", "double quotes, not single ones"),
        ('{"var": "a",}', "(line 1, column 12): a comma stands before the closing bracket; remove it"),
        ('{"and": [1,\n ]}', "(line 1, column 11): a comma stands before the closing bracket; remove it"),
        ('{"and": [1,,2]}', "a value was expected here"),
        ('{"var": "a", 1: 2}', "a key in double quotes was expected here"),
        ('{"and" [1]}', "a colon was expected here"),
        ('{"and": [1 2]}', "a comma or a closing bracket was expected here"),
        ('{"and": [1', "a comma or a closing bracket was expected here"),
        ('{"var": ', "a bracket is not closed"),
        ('{"var": "a}', "its closing quote is missing"),
        ('{"var": "a\nb"}', "a line break or tab stands inside a text"),
        ('{"var": "a\\q"}', "a backslash in a text"),
        ('{"var": True}', '"True" is none'),
        ('{"var": undefined}', '"undefined" is none'),
        ("[" * 100 + "]" * 100, "nested deeper than 64 levels at line 1, column 65"),
        ("[" * 65000, "nested deeper than 64 levels"),
        (" " * 70_000 + "1", "70,001 characters long; at most 65,536"),
    ],
)
def test_text_that_is_not_strict_json_is_refused_with_its_place(text: str, fragment: str) -> None:
    with pytest.raises(InvalidRule) as refused:
        jsonlogic.parse(text)

    (problem,) = refused.value.problems
    assert fragment in problem.message
    assert problem.pointer == ""


def test_strict_json_is_parsed_whatever_its_texts_hold() -> None:
    text = '{"and": [{"==": [{"var": "a"}, "// # NaN [[[ \\" \\u00e9"]}, -1.5e3, 12, null, true]}'

    assert jsonlogic.parse(text) == json.loads(text)


@given(st.text(alphabet='{}[]":,\\/ \n#aN1-', max_size=60))
def test_any_text_is_parsed_as_python_does_or_refused(text: str) -> None:
    try:
        parsed = jsonlogic.parse(text)
    except InvalidRule:
        return
    assert parsed == json.loads(text)


# -- Problems --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("logic", "pointer", "fragment"),
    [
        ({}, "", "leave the condition empty for a rule that always applies"),
        ([], "", "is the constant []"),
        (True, "", "is the constant true"),
        (False, "", "is the constant false"),
        (None, "", "is the constant null"),
        ("status", "", 'is the constant "status"'),
        (3, "", "is the constant 3"),
        ([TOTAL], "", 'A list is no condition; write {"and": [ … ]}'),
        ({"==": [1, 1]}, "", "reads nothing of the event"),
        ({"and": [False, TOTAL]}, "", "reads nothing of the event"),
        ({">": [TOTAL, 1], "<": [TOTAL, 9]}, "", "exactly one key"),
        ({"and": [TOTAL, {"==": [TOTAL, {}], "x": 1}]}, "/and/1", "exactly one key"),
        ({"vr": "x"}, "", 'There is no operator "vr". Did you mean "var"?'),
        ({"and": [TOTAL, {"not": [TOTAL]}]}, "/and/1", 'no operator "not". Did you mean "!"?'),
        ({"AND": [TOTAL, TOTAL]}, "", 'Did you mean "and"?'),
        ({"/": [TOTAL, {"nix": 1}]}, "/~1/1", 'no operator "nix".'),
        ({"fractional": [TOTAL]}, "", 'no operator "fractional".'),
        ({"sem_ver": ["1", "=", "1"]}, "", 'no operator "sem_ver".'),
        ({"preserve": {"x": TOTAL}}, "", 'no operator "preserve".'),
        ({"map": [LINES]}, "", '"map" takes exactly 2 arguments, not 1.'),
        ({"==": [TOTAL]}, "", '"==" takes at least 2 arguments, not 1.'),
        ({"!": [TOTAL, 1]}, "", '"!"'),
        ({"and": TOTAL}, "", '"and" takes its arguments as'),
        ({"or": [TOTAL, {"throw": "no"}]}, "/or/1", '"throw" is not offered'),
        ({"var": TOTAL}, "", "name to read is computed here"),
        ({"and": [TOTAL, {"var": {"cat": ["a", ".b"]}}]}, "/and/1", "name to read is computed here"),
        ({"var": True}, "", "name to read is computed here"),
        ({"missing": {"merge": [["a"], ["b"]]}}, "", "name to read is computed here"),
        ({"var": ""}, "", "reads the whole event"),
        ({"!": {"val": []}}, "/!", "reads the whole event"),
        ({"==": [{"val": "instance.total"}, 1]}, "/==/0", 'in pieces: write ["instance", "total"]'),
        ({"exists": "instance.total"}, "", 'in pieces: write ["instance", "total"]'),
        ({"var": "x" * 1000}, "", "far too long"),
        ({"var": "x." * 40}, "", "far too long"),
        (
            {"reduce": [LINES, {"+": [{"var": "accumulator"}, {"var": "instance.total"}]}, 0]},
            "/reduce/1/+/1",
            'only "current" and "accumulator" can be read',
        ),
        ({"try": [TOTAL, {"var": "instance.status"}]}, "/try/1", 'write {"val": [[2], "instance", "status"]}'),
        (nested(65), "", "nested deeper than 64 levels"),
        (nested(100_000), "", "nested deeper than 64 levels"),
        ({"or": [TOTAL] * 1_000_000}, "", "larger than 65,536 characters"),
        ({"==": [TOTAL, "x" * 70_000]}, "", "larger than 65,536 characters"),
        (circular(), "", "contains itself"),
        ({"==": [TOTAL, float("nan")]}, "/==/1", "no NaN"),
        ({"==": [TOTAL, float("-inf")]}, "/==/1", "no Infinity"),
        ({"==": [TOTAL, 2**63]}, "/==/1", "does not fit 64 bits"),
        ({"==": (TOTAL, 1)}, "/==", 'A Python "tuple" is not JSON; write a list.'),
        ({"==": [TOTAL, Decimal(1)]}, "/==/1", 'A Python "Decimal" is not JSON'),
        ({"==": [TOTAL, b"x"]}, "/==/1", 'A Python "bytes" is not JSON'),
        ({"==": [TOTAL, "a\x00"]}, "/==/1", "NUL"),
        ({"==": [TOTAL, "\ud800"]}, "/==/1", "surrogate"),
        ({1: [TOTAL]}, "", 'keys of an object are texts, and one here is a Python "int"'),
    ],
)
def test_a_malformed_condition_is_explained_at_its_place(logic: Any, pointer: str, fragment: str) -> None:
    problems = jsonlogic.check(logic)

    assert [(p.pointer, True) for p in problems if fragment in p.message] == [(pointer, True)], problems
    with pytest.raises(InvalidRule) as refused:
        jsonlogic.compile_condition(logic)
    assert list(refused.value.problems) == problems


def test_all_problems_are_reported_at_once() -> None:
    logic = {"and": [{"vr": 1}, {"map": [1]}, {"throw": 1}, {"var": TOTAL}]}

    assert [p.pointer for p in jsonlogic.check(logic)] == ["/and/0", "/and/1", "/and/2", "/and/3"]


def test_a_list_shared_a_million_times_is_refused_without_a_walk() -> None:
    shared: Any = [1] * 1000
    for _ in range(50):
        shared = [shared] * 1000

    assert "larger than" in jsonlogic.check({"in": [TOTAL, shared]})[0].message


@pytest.mark.parametrize(
    "logic",
    [
        {"==": [{"var": "instance.status"}, "paid"]},
        {"in": ["status", {"var": "changed"}]},
        {">": [{"var": "instance.at"}, {"now": []}]},
        {"try": [{">": [{"+": [TOTAL, 1]}, 5]}, False]},
        {"try": [{">": [{"+": [TOTAL, 1]}, 5]}, {"==": [{"var": "type"}, "NaN"]}]},
        {"starts_with": [{"lower": {"trim": {"var": "instance.email"}}}, "a"]},
        {"date_diff": [{"var": "instance.a"}, {"var": "instance.b"}, "days"]},
        {"some": [LINES, {">": [{"var": "price"}, {"val": [[2], "instance", "total"]}]}]},
        nested(0) and {"!": [{"!": [TOTAL]}]},
    ],
)
def test_a_usable_condition_has_no_problems(logic: Any) -> None:
    assert jsonlogic.check(logic) == []


@pytest.mark.parametrize("constant", [1, "paid", True, None, [], {}, {"+": [1, 2]}])
def test_a_value_expression_may_be_constant(constant: Any) -> None:
    expression = jsonlogic.compile_expression(constant)

    assert expression.value(jsonlogic.data_handle({})) == (3 if constant == {"+": [1, 2]} else constant)


def test_text_of_a_condition_is_compact_and_refused_when_circular() -> None:
    assert jsonlogic.dumps({"==": [TOTAL, "é"]}) == '{"==":[{"var":"instance.total"},"é"]}'
    with pytest.raises(InvalidRule, match="contains itself"):
        jsonlogic.dumps(circular())


# -- Names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("logic", "expected"),
    [
        (TOTAL, [Variable("", ("instance", "total"))]),
        (
            {"var": ["instance.total", TOTAL]},
            [Variable("", ("instance", "total")), Variable("/var/1", ("instance", "total"))],
        ),
        ({"!": [{"val": ["old", "x"]}]}, [Variable("/!/0", ("old", "x"))]),
        ({"exists": ["instance", "x"]}, [Variable("", ("instance", "x"))]),
        ({"missing": ["a.b", "c"]}, [Variable("", ("a", "b")), Variable("", ("c",))]),
        ({"missing_some": [1, ["a.b", "c"]]}, [Variable("", ("a", "b")), Variable("", ("c",))]),
        (
            {"some": [LINES, {"/": [{"var": "price"}, {"val": [[2], "old", "x"]}]}]},
            [
                Variable("/some/0", ("instance", "lines")),
                Variable("/some/1/~1/0", ("price",), ("instance", "lines")),
                Variable("/some/1/~1/1", ("old", "x")),
            ],
        ),
        (
            {"all": [{"filter": [LINES, {"var": "a"}]}, {"var": "b"}]},
            [
                Variable("/all/0/filter/0", ("instance", "lines")),
                Variable("/all/0/filter/1", ("a",), ("instance", "lines")),
                Variable("/all/1", ("b",), ("instance", "lines")),
            ],
        ),
        (
            {"none": [LINES, {"some": [{"var": "tags"}, {"==": [{"var": ""}, {"val": [[1], "name"]}]}]}]},
            [
                Variable("/none/0", ("instance", "lines")),
                Variable("/none/1/some/0", ("tags",), ("instance", "lines")),
                Variable("/none/1/some/1/==/0", (), ("instance", "lines", "tags")),
                Variable("/none/1/some/1/==/1", ("name",), ("instance", "lines")),
            ],
        ),
        (
            {"reduce": [LINES, {"+": [{"var": "accumulator"}, {"var": "current.price"}]}, TOTAL]},
            [
                Variable("/reduce/0", ("instance", "lines")),
                Variable("/reduce/1/+/1", ("price",), ("instance", "lines")),
                Variable("/reduce/2", ("instance", "total")),
            ],
        ),
        (
            {"sort": [LINES, True, {"var": "price"}]},
            [Variable("/sort/0", ("instance", "lines")), Variable("/sort/2", ("price",), ("instance", "lines"))],
        ),
        ({"some": [LINES, {">": [{"val": [[1], "index"]}, 3]}]}, [Variable("/some/0", ("instance", "lines"))]),
        ({"some": [[1, 2], {"==": [{"var": ""}, 1]}]}, []),
        ({"some": [{"map": [[1], 1]}, {"var": "x"}]}, []),
        ({"try": [TOTAL, {"var": "type"}]}, [Variable("/try/0", ("instance", "total"))]),
        ({"try": [TOTAL]}, [Variable("/try/0", ("instance", "total"))]),
    ],
)
def test_every_name_read_is_listed_with_its_place_and_its_rows(logic: Any, expected: list[Variable]) -> None:
    assert jsonlogic.variables(logic) == expected


def test_what_a_condition_reads_agrees_with_its_listed_names() -> None:
    logic = {"and": [{"some": [LINES, {">": [{"var": "price"}, {"val": [[2], "old", "x"]}]}]}, {"missing": ["a.b"]}]}

    reads = jsonlogic.compile_condition(logic).reads

    assert reads == {("instance", "lines"), ("old", "x"), ("a", "b")}
    assert reads == {v.path for v in jsonlogic.variables(logic) if v.within is None}


# -- Evaluating ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operator", ["<", "<=", ">", ">="])
@pytest.mark.parametrize("context", [{"instance": {"total": None}}, {"instance": {}}, {}])
@pytest.mark.parametrize("number", [-5, 0, 5])
def test_a_null_or_missing_operand_never_satisfies_an_ordering(
    operator: str, context: dict[str, Any], number: int
) -> None:
    assert not matches({operator: [TOTAL, number]}, context)
    assert not matches({operator: [number, TOTAL]}, context)


def test_arithmetic_on_null_names_operator_place_and_remedy() -> None:
    logic = {"and": [TOTAL, {">": [{"+": [{"var": "instance.tax"}, 1]}, 5]}]}

    with pytest.raises(ConditionError, match=r'"\+" could not .* \(at /and/1/>/0\)\. .*\{"\?\?": \['):
        matches(logic, {"instance": {"total": 3, "tax": None}})


def test_a_value_to_stand_in_for_null_is_the_remedy() -> None:
    assert matches({">": [{"+": [{"??": [TOTAL, 0]}, 10]}, 5]}, {"instance": {"total": None}})


@pytest.mark.parametrize("operator", ["==", "==="])
def test_texts_that_read_like_spans_are_compared_as_texts_behind_a_sign(operator: str) -> None:
    context = {"instance": {"size": "60m"}}
    size = {"var": "instance.size"}
    assert matches({operator: [size, "1h"]}, context)
    assert not matches({operator: [{"cat": ["=", size]}, "=1h"]}, context)
    assert matches({operator: [{"cat": ["=", size]}, "=60m"]}, context)


def test_an_error_never_tells_the_values() -> None:
    with pytest.raises(ConditionError) as raised:
        matches({"+": [TOTAL, 1]}, {"instance": {"total": "s3cret"}})

    assert "s3cret" not in str(raised.value)


@override_settings(RULES_ENGINE={"CONDITION_BUDGET": 50})
def test_a_condition_past_its_budget_is_stopped_with_an_error() -> None:
    with pytest.raises(ConditionError, match=r"more than 50 operations.*CONDITION_BUDGET"):
        matches({"all": [LINES, {">": [{"var": "price"}, 0]}]}, {"instance": {"lines": [{"price": 1}] * 100}})


def test_a_text_that_doubles_at_each_row_is_stopped_by_the_budget() -> None:
    doubling = {"reduce": [LINES, {"cat": [{"var": "accumulator"}, {"var": "accumulator"}]}, "xxxx"]}

    with pytest.raises(ConditionError, match="put together more than 1,000,000 characters"):
        matches(doubling, {"instance": {"lines": [1] * 60}})


@pytest.mark.parametrize("value", [0, -0.0, 1, "", "0", " ", [], [0], {}, {"a": 0}, None, True, False, 0.1])
def test_truth_is_that_of_jsonlogic(value: Any) -> None:
    assert matches({"var": "x"}, {"x": value}) == Engine().truthy(json.dumps(value))


def test_a_condition_compares_by_its_source_and_can_be_shared() -> None:
    first, second = jsonlogic.compile_condition({"!": [TOTAL]}), jsonlogic.compile_condition({"!": [TOTAL]})

    assert first == second
    assert first.source == {"!": [TOTAL]}
    data = jsonlogic.data_handle({"instance": {"total": 0}})
    assert [first.matches(data), second.matches(data), first.value(data)] == [True, True, True]


# -- Data ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Decimal("12.50"), 12.5),
        (Decimal("12345678901234567"), 12345678901234567),
        ((1, Decimal(2)), [1, 2]),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (OrderedDict(a=1), {"a": 1}),
        (1.25, 1.25),
        ("é", "é"),
    ],
)
def test_data_is_seen_as_json(value: Any, expected: Any) -> None:
    assert jsonlogic.compile_expression({"var": "x"}).value(jsonlogic.data_handle({"x": value})) == expected


def test_a_decimal_is_compared_as_a_number() -> None:
    assert matches({"<": [TOTAL, 9.5]}, {"instance": {"total": Decimal("9.49")}})
    assert matches({"==": [TOTAL, 0.1]}, {"instance": {"total": Decimal("0.10")}})


@pytest.mark.parametrize(("value", "expected"), [(2**70, float(2**70)), (10**300, 1e300), (-(2**63), -(2**63))])
def test_a_whole_number_beyond_64_bits_is_a_floating_point_number(value: int, expected: float) -> None:
    assert jsonlogic.compile_expression({"var": "a"}).value(jsonlogic.data_handle({"a": value})) == expected


@pytest.mark.parametrize(
    "value",
    [date(2026, 1, 1), {1, 2}, b"x", object(), float("nan"), Decimal("NaN"), Decimal("1e999"), "\ud800", {1: 2}],
)
def test_data_that_is_not_json_is_an_error(value: Any) -> None:
    with pytest.raises(ConditionError, match=r"not JSON|JSON has not"):
        jsonlogic.data_handle({"x": [value]})


def test_data_too_deep_too_large_or_circular_is_an_error_and_no_crash() -> None:
    ring: list[Any] = []
    ring.append(ring)
    shared: Any = [1] * 1000
    for _ in range(50):
        shared = [shared] * 1000

    for value in (nested(100_000), ring, shared):
        with pytest.raises(ConditionError, match=r"nested deeper|more than"):
            jsonlogic.data_handle({"x": value})


# -- Tracing ---------------------------------------------------------------------------------------------------------


def test_a_trace_shows_what_each_part_came_to() -> None:
    logic = {"and": [{"==": [{"var": "instance.status"}, "paid"]}, {"<": [TOTAL, 5]}, {"var": "created"}]}

    tree = jsonlogic.trace(logic, {"instance": {"status": "paid", "total": Decimal("9.00")}})

    assert (tree["pointer"], tree["expression"], tree["value"]) == ("", logic, False)
    equal, less, created = tree["children"]
    assert (equal["pointer"], equal["value"]) == ("/and/0", True)
    assert (equal["children"][0]["expression"], equal["children"][0]["value"]) == ({"var": "instance.status"}, "paid")
    assert (less["pointer"], less["value"], less["children"][0]["value"]) == ("/and/1", False, 9)
    assert created["skipped"] is True
    assert json.loads(json.dumps(tree)) == tree


def test_a_trace_of_a_loop_shows_its_rows_and_what_each_came_to() -> None:
    context = {"instance": {"lines": [{"price": 1}, {"price": 7}]}}

    tree = jsonlogic.trace({"all": [LINES, {"<": [{"var": "price"}, 9]}]}, context)

    rows, test = tree["children"]
    assert rows["value"] == [{"price": 1}, {"price": 7}]
    assert (test["values"], test["count"], test["children"][0]["values"]) == ([True, True], 2, [1, 7])


def test_a_trace_shows_where_an_error_arose() -> None:
    tree = jsonlogic.trace({">": [{"+": [TOTAL, 1]}, 5]}, {"instance": {"total": None}})

    (added,) = tree["children"]
    assert "could not be worked out" in added["error"]
    assert added["children"][0]["value"] is None


def test_a_trace_is_bounded_and_says_so() -> None:
    tree = jsonlogic.trace({"all": [LINES, {"var": "a"}]}, {"instance": {"lines": [{"a": 1}] * 5000}})

    assert "stops after" in tree["error"]


def test_a_trace_of_what_cannot_be_compiled_is_refused() -> None:
    with pytest.raises(InvalidRule):
        jsonlogic.trace({"vr": 1}, {})


# -- Anything at all -------------------------------------------------------------------------------------------------

_scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=8)
_data = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
)
_contexts = st.dictionaries(st.sampled_from(["instance", "a", "b"]), _data, max_size=3)
_names = st.sampled_from(["instance.total", "instance.lines", "a", "", "current.a", "accumulator", "a.0.b"])
_steps = st.lists(st.sampled_from(["instance", "a", "b", "index"]), max_size=3)
_reads = (
    st.builds(lambda name: {"var": name}, _names)
    | st.builds(lambda steps: {"exists": steps}, _steps)
    | st.builds(lambda level, steps: {"val": [[level], *steps]}, st.integers(0, 5), _steps)
)
_constants = st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "a", "1", "2026-01-01T00:00:00Z"])


def _calls(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A call of any operator, nearly always with as many arguments as it takes."""

    def call(info: dict[str, Any], arguments: list[Any]) -> Any:
        least, most = info["min_args"], info["max_args"] or 5
        return {info["name"]: arguments[: max(least, min(most, 3))]}

    table = [info for name, info in sorted(operators().items()) if name not in ("var", "val", "throw")]
    return st.builds(call, st.sampled_from(table), st.lists(inner, min_size=3, max_size=4))


_sound = st.recursive(_constants | _reads | _reads, _calls, max_leaves=25)
_wild = st.recursive(
    _scalars | _reads,
    lambda inner: st.lists(inner, max_size=3) | _calls(inner) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=20,
)


@hypothesis_settings(max_examples=examples(400), deadline=None)
@given(_sound | _wild, _contexts)
def test_any_logic_on_any_data_gives_a_value_or_one_of_our_errors(logic: Any, context: dict[str, Any]) -> None:
    problems = jsonlogic.check(logic)
    if problems:
        with pytest.raises(InvalidRule) as refused:
            jsonlogic.compile_condition(logic)
        assert list(refused.value.problems) == problems
        return
    condition = jsonlogic.compile_condition(logic)
    try:
        data = jsonlogic.data_handle(context)
        json.dumps(jsonlogic.trace(logic, context))
        assert condition.matches(data) == bool(condition.value(data))
    except ConditionError:
        return


@hypothesis_settings(max_examples=examples(400), deadline=None)
@given(_sound)
def test_names_listed_from_the_json_cover_what_the_evaluator_reads(logic: Any) -> None:
    if not jsonlogic.check_expression(logic):
        found = jsonlogic.variables(logic)
        listed = {one.path for one in found if one.within is None}
        # Of rows: what is read beyond them, and then their own columns too.
        listed |= {(*one.within, *path) for one in found if one.within for path in (one.path, ("*",))}
        assert jsonlogic.compile_expression(logic).reads <= listed
