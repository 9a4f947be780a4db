"""How a condition came out, part by part, in the words of the rule's form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import translation

from rules_engine.admin.conditions.field_titles import Titles
from rules_engine.admin.conditions.trace_tree import Node, drawn
from rules_engine.logic import jsonlogic

CONTEXT: dict[str, Any] = {
    "instance": {"status": "paid", "total": 120, "customer": None, "items": [{"quantity": 2}, {"quantity": 0}]},
    "old": {"status": "draft"},
    "created": False,
}
STATUS, TOTAL, ITEMS = ({"var": f"instance.{name}"} for name in ("status", "total", "items"))
SKIPPED = "not looked at: it was decided before"
BROKEN = "This could not be worked out with the values it was given."


def lines(node: Node, depth: int = 0) -> Iterator[tuple[int, str, str, str]]:
    yield depth, node.said.words, node.state, node.result
    for child in node.children:
        yield from lines(child, depth + 1)


def tree_of(logic: Any, context: dict[str, Any] | None = None) -> Node:
    return drawn(jsonlogic.trace(logic, CONTEXT if context is None else context), Titles.of("shop.order"))


@pytest.mark.parametrize(
    ("logic", "told"),
    [
        (
            {"and": [{"==": [STATUS, "paid"]}, {">": [TOTAL, 100]}]},
            [
                (0, "ALL of these", "true", "true"),
                (1, "Status is Paid", "true", "true"),
                (2, "Status", "value", "Paid"),
                (1, "Total is more than 100", "true", "true"),
                (2, "Total", "value", "120"),
            ],
        ),
        (
            {"and": [{"==": [STATUS, "draft"]}, {">": [TOTAL, 100]}]},
            [
                (0, "ALL of these", "false", "false"),
                (1, "Status is Draft", "false", "false"),
                (2, "Status", "value", "Paid"),
                (1, "Total is more than 100", "skipped", SKIPPED),
                (2, "Total", "skipped", SKIPPED),
            ],
        ),
        (
            {"some": [ITEMS, {">": [{"var": "quantity"}, 1]}]},
            [
                (0, "Order items have at least one where: Quantity is more than 1", "true", "true"),
                (1, "Order items", "value", "2 rows"),
                (1, "Quantity is more than 1", "value", "true"),
                (2, "Quantity", "value", "2"),
            ],
        ),
        (
            {">": [{"+": [{"var": "instance.customer"}, 1]}, 1]},
            [
                (0, "+(instance.customer, 1) > 1", "error", BROKEN),
                (1, "+(instance.customer, 1)", "error", BROKEN),
                (2, "Customer", "value", "null"),
            ],
        ),
        (
            {"!": [{"var": "created"}]},
            [(0, "It is new is no", "true", "true"), (1, "It is new", "false", "false")],
        ),
    ],
    ids=["all-true", "decided-before", "rows", "error", "not"],
)
def test_each_part_says_what_it_came_to(logic: Any, told: list[tuple[int, str, str, str]]) -> None:
    assert list(lines(tree_of(logic))) == told


def test_what_came_out_is_told_in_german() -> None:
    logic = {"and": [{"==": [STATUS, "draft"]}, {">": [TOTAL, 100]}]}
    with translation.override("de"):
        told = list(lines(tree_of(logic)))
    assert [line[1] for line in told] == [
        "ALLES davon",
        "Status ist Draft",
        "Status",
        "Total ist mehr als 100",
        "Total",
    ]
    assert told[0][3] != "false"
    assert told[3][3] != SKIPPED


@pytest.mark.parametrize(("count", "more"), [(1, ""), (20, ""), (21, " and 1 more"), (100, " and 80 more")])
def test_of_many_rows_the_first_are_told_and_the_rest_counted(count: int, more: str) -> None:
    rows = [{"quantity": 0} for _ in range(count)]
    logic = {"some": [ITEMS, {">": [{"var": "quantity"}, 1]}]}
    node = tree_of(logic, {"instance": {"items": rows}})
    quantities = node.children[1].children[0]
    assert quantities.result == ", ".join(["0"] * min(count, 20)) + more
    assert node.children[0].result == (f"{count} rows" if count > 1 else "1 row")


@pytest.mark.parametrize("text", ["<b>", "\u202e", "{{ 7 }}", '"', "%s"])
def test_hostile_values_are_told_and_not_obeyed(text: str) -> None:
    node = tree_of({"==": [{"var": "instance.order_number"}, text]}, {"instance": {"order_number": text}})
    assert node.state == "true"
    assert node.children[0].result == f"“{text}”"


def test_a_very_long_value_is_cut() -> None:
    node = tree_of({"==": [{"var": "instance.nowhere"}, 1]}, {"instance": {"nowhere": ["x" * 5_000]}})
    assert len(node.children[0].result) <= 201
    assert node.children[0].result.endswith("…")


def test_where_too_many_rows_are_asked_it_is_said_that_tracing_stops() -> None:
    rows = [{"quantity": 0} for _ in range(1_000)]
    node = tree_of({"some": [ITEMS, {">": [{"var": "quantity"}, 1]}]}, {"instance": {"items": rows}})
    said = {result for _, _, _, result in lines(node)}
    assert "Tracing stops after as many operations as are shown for data of this size." in said
