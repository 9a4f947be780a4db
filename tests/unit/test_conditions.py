from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings

from rules_engine.conditions import (
    actor,
    apply,
    changes,
    contains,
    created,
    event,
    every,
    has_changed,
    if_null,
    instance,
    is_in,
    logic,
    m2m,
    missing,
    none,
    old,
    request,
    signal,
    some,
)
from rules_engine.logic import jsonlogic

if not settings.configured:  # as when this folder is run alone, without the project's settings
    settings.configure()

TOTAL = {"var": "instance.total"}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (instance.status == "paid", {"==": [{"var": "instance.status"}, "paid"]}),
        (instance.status != old.status, {"!=": [{"var": "instance.status"}, {"var": "old.status"}]}),
        (instance.total < 5, {"<": [TOTAL, 5]}),
        (instance.total <= 5, {"<=": [TOTAL, 5]}),
        (5 < instance.total, {">": [TOTAL, 5]}),  # noqa: SIM300 - the other way round is what is tested
        (instance.total >= Decimal("5.50"), {">=": [TOTAL, 5.5]}),
        (instance.total > Decimal("5.00"), {">": [TOTAL, 5]}),
        (instance.deleted_at == None, {"==": [{"var": "instance.deleted_at"}, None]}),  # noqa: E711
        (instance.day == datetime.date(2026, 1, 31), {"==": [{"var": "instance.day"}, "2026-01-31"]}),
        (instance["class"]["from"] == 1, {"==": [{"var": "instance.class.from"}, 1]}),
        (instance.lines[0].price == 1, {"==": [{"var": "instance.lines.0.price"}, 1]}),
        (instance.total + 1 > 2, {">": [{"+": [TOTAL, 1]}, 2]}),
        (1 + instance.total, {"+": [1, TOTAL]}),
        (10 - instance.total * 2, {"-": [10, {"*": [TOTAL, 2]}]}),
        (2 * instance.total / 3 % 4 - 1, {"-": [{"%": [{"/": [{"*": [2, TOTAL]}, 3]}, 4]}, 1]}),
        (~(instance.total > 5), {"!": [{">": [TOTAL, 5]}]}),
        ((instance.total > 5) & created, {"and": [{">": [TOTAL, 5]}, {"var": "created"}]}),
        ((instance.total > 5) | created, {"or": [{">": [TOTAL, 5]}, {"var": "created"}]}),
        (has_changed("status"), {"in": ["status", {"var": "changed"}]}),
        (is_in(instance.status, {"paid", "open"}), {"in": [{"var": "instance.status"}, ["open", "paid"]]}),
        (contains(instance.tags, "vip"), {"in": ["vip", {"var": "instance.tags"}]}),
        (if_null(instance.total, 0), {"??": [TOTAL, 0]}),
        (missing("instance.email"), {"missing": ["instance.email"]}),
        (apply("starts_with", instance.name, "A"), {"starts_with": [{"var": "instance.name"}, "A"]}),
        (apply("now"), {"now": []}),
        (changes.status.new == event.operation, {"==": [{"var": "changes.status.new"}, {"var": "event.operation"}]}),
        (actor.id == signal.user, {"==": [{"var": "actor.id"}, {"var": "signal.user"}]}),
        (request.path == m2m.field, {"==": [{"var": "request.path"}, {"var": "m2m.field"}]}),
        (
            some(instance.lines, lambda line: line.price > instance.limit),
            {"some": [{"var": "instance.lines"}, {">": [{"var": "price"}, {"val": [[2], "instance", "limit"]}]}]},
        ),
        (
            none(instance.tags, lambda tag: tag == "vip"),
            {"none": [{"var": "instance.tags"}, {"==": [{"var": ""}, "vip"]}]},
        ),
        ({"a": [instance.total, None]}, {"a": [TOTAL, None]}),
    ],
)
def test_python_becomes_standard_jsonlogic(expression: Any, expected: Any) -> None:
    assert logic(expression) == expected


def test_a_loop_in_a_loop_reads_what_python_would() -> None:
    condition = jsonlogic.compile_condition(
        logic(
            every(
                instance.lines,
                lambda line: some(line.parts, lambda part: (part.weight < line.limit) & (part.kind == instance.kind)),
            )
        )
    )

    def outcome(kind: str) -> bool:
        lines = [{"limit": 5, "parts": [{"weight": 9, "kind": "a"}, {"weight": 1, "kind": "b"}]}]
        return condition.matches(jsonlogic.data_handle({"instance": {"kind": kind, "lines": lines}}))

    assert (outcome("a"), outcome("b")) == (False, True)


def test_a_written_condition_passes_the_checks_and_is_evaluated() -> None:
    written = logic(has_changed("status") & (instance.status == "paid") & ~(if_null(instance.total, 0) < 100))

    assert jsonlogic.check(written) == []
    paid = {"instance": {"status": "paid", "total": 100}, "changed": ["status"]}
    assert jsonlogic.compile_condition(written).matches(jsonlogic.data_handle(paid))
    unpaid = {"instance": {"status": "paid", "total": None}, "changed": ["status"]}
    assert not jsonlogic.compile_condition(written).matches(jsonlogic.data_handle(unpaid))


def test_pythons_and_or_not_and_chains_are_refused() -> None:
    with pytest.raises(TypeError, match='combine conditions with "&"'):
        logic((instance.a == 1) and (instance.b == 2))
    with pytest.raises(TypeError, match='combine conditions with "&"'):
        logic(1 < instance.a < 5)
    with pytest.raises(TypeError, match='combine conditions with "&"'):
        logic(not instance.a)


def test_a_name_is_not_iterable_and_an_unknown_value_is_refused() -> None:
    with pytest.raises(TypeError, match="not iterable"):
        list(instance.lines)
    with pytest.raises(TypeError, match="got a object"):
        logic(instance.a == object())


def test_an_expression_shows_its_json() -> None:
    assert repr(instance.a == 1) == '{"==": [{"var": "instance.a"}, 1]}'


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (float("nan"), "numbers that JSON has, and got nan."),
        (float("-inf"), "numbers that JSON has, and got -inf."),
        (Decimal("Infinity"), "numbers that JSON has, and got Infinity."),
        (Decimal("NaN"), "numbers that JSON has, and got NaN."),
        ([1, [float("inf")]], "numbers that JSON has, and got inf."),
        ({"a": {1: 2}}, "An object of JSON has texts as keys, and got 1."),
        ({None: 1}, "An object of JSON has texts as keys, and got None."),
        (b"bytes", "got a bytes."),
        (datetime.timedelta(days=1), "got a timedelta."),
        (1j, "got a complex."),
        (lambda: 1, "got a function."),
    ],
)
def test_what_json_cannot_hold_is_refused_where_it_is_written(value: Any, said: str) -> None:
    with pytest.raises(TypeError) as refused:
        logic(instance.total == value)
    assert str(refused.value).endswith(said)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Decimal("1E+3"), 1000),
        (Decimal("-0.0"), 0),
        (Decimal("0.1"), 0.1),
        (True, True),
        (None, None),
        ("ümlaut \u202e", "ümlaut \u202e"),
        (datetime.time(8, 30), "08:30:00"),
        (datetime.datetime(2031, 5, 6, 8, tzinfo=datetime.UTC), "2031-05-06T08:00:00+00:00"),
        (frozenset({3, 1}), [1, 3]),
        ((), []),
        ({"a": instance.total}, {"a": TOTAL}),
    ],
)
def test_values_of_python_are_written_as_json_has_them(value: Any, written: Any) -> None:
    assert logic(value) == written


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (apply("!!", instance.total), {"!!": [TOTAL]}),
        (apply("if", created, "new", "old"), {"if": [{"var": "created"}, "new", "old"]}),
        (every([1, 2], lambda number: number > 1), {"all": [[1, 2], {">": [{"var": ""}, 1]}]}),
        (some(instance.lines, lambda line: True), {"some": [{"var": "instance.lines"}, True]}),
        (contains(["a", "b"], instance.status), {"in": [{"var": "instance.status"}, ["a", "b"]]}),
        (missing(), {"missing": []}),
        (instance["a b"] == 1, {"==": [{"var": "instance.a b"}, 1]}),
        (instance == None, {"==": [{"var": "instance"}, None]}),  # noqa: E711
    ],
)
def test_less_usual_expressions_are_written_too(expression: Any, expected: Any) -> None:
    assert logic(expression) == expected


def test_an_expression_is_no_key_and_no_private_name_of_it_is_read() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        {instance.total: 1}  # noqa: B018
    assert not hasattr(instance, "_hidden")
