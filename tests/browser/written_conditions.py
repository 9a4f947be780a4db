"""Conditions as people, programs and mistakes write them: texts of JSON, and of what is nearly JSON."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

from rules_engine.logic.evaluator import operators

AROUND_RANGES = (
    '{"<": [1, {"var": "instance.total"}, 10]}',
    '{"<=":[ 1.0 ,{"var":"instance.total"},1e3 ]}',
    '{">": [10, {"var": "instance.total"}, 1]}',
    '{">=": [1E+2, {"var": "instance.total"}, -0.50]}',
    '{"!": [{"<=": [1, {"var": "instance.total"}, 10]}]}',
    '{"!": {"<": [1, {"var": "instance.total"}, 10]}}',
    '{"<": [1, {"var": "old.total"}, {"var": "instance.total"}]}',
    '{"<": [{"var": "instance.subtotal"}, {"var": "instance.total"}, {"var": "old.total"}]}',
    '{"<": [1, {"var": "instance.total"}, "10"]}',
    '{"<": ["a", {"var": "instance.order_number"}, "\\u00e9"]}',
    '{"<": [1, 2, {"var": "instance.total"}]}',
    '{"<": [{"var": "instance.total"}, 1, 10]}',
    '{"<": [1, {"var": "instance.total"}, null]}',
    '{"<": [1, {"var": "instance.total"}, 10, 100]}',
    '{"==": [1, {"var": "instance.total"}, 1]}',
    '{"<": [1, {"var": ["instance.total", 0]}, 10]}',
    '{"<": [1, {"+": [{"var": "instance.total"}, 1]}, 10]}',
    '{"<=": [true, {"var": "instance.total"}, [1]]}',
)
NOW = '{"now": []}'
AROUND_MOMENTS = (
    f'{{"<": [{{"var": "instance.status_changed_at"}}, {NOW}]}}',
    f'{{">=": [{NOW}, {{"var": "instance.status_changed_at"}}]}}',
    f'{{"<": [{{"var": "instance.status_changed_at"}}, {{"-": [{NOW}, {{"timestamp": "30d"}}]}}]}}',
    f'{{">":[{{"var":"old.status_changed_at"}},{{"+":[{NOW},{{"timestamp":["90m"]}}]}}]}}',
    f'{{"<=": [{NOW}, {{"var": "instance.status_changed_at"}}, {{"+": [{NOW}, {{"timestamp": "7d"}}]}}]}}',
    f'{{"<=": [{{"-": [{NOW}, {{"timestamp": "12h"}}]}}, {{"var": "instance.status_changed_at"}}, {NOW}]}}',
    f'{{">=": [{NOW}, {{"var": "instance.status_changed_at"}}, {{"-": [{NOW}, {{"timestamp": "0s"}}]}}]}}',
    f'{{"!": [{{"<=": [{NOW}, {{"var": "instance.status_changed_at"}}, {{"+": [{NOW}, {{"timestamp": "7d"}}]}}]}}]}}',
    f'{{"<": [{NOW}, {{"var": "instance.status_changed_at"}}, {{"+": [{NOW}, {{"timestamp": "7d"}}]}}]}}',
    f'{{"<=": [{NOW}, {{"var": "instance.status_changed_at"}}, {{"-": [{NOW}, {{"timestamp": "7d"}}]}}]}}',
    f'{{"<=": [{NOW}, {{"var": "instance.status_changed_at"}}, {{"+": [{NOW}, {{"timestamp": "1d:2h"}}]}}]}}',
    f'{{"==": [{{"var": "instance.order_number"}}, {{"format_date": [{NOW}, "yyyy-MM-dd"]}}]}}',
    f'{{"<": [{{"var": "instance.order_number"}}, {{"format_date": [{{"-": [{NOW}, {{"timestamp": "7d"}}]}}, '
    '"yyyy-MM-dd", "Asia/Tokyo"]}]}',
    f'{{"==": [{{"var": "instance.order_number"}}, {{"format_date": [{NOW}, "yyyy"]}}]}}',
    f'{{"==": [{{"var": "instance.order_number"}}, {{"format_date": [{NOW}, "yyyy-MM-dd", "a\\"b"]}}]}}',
    f'{{"<": [{NOW}, {NOW}]}}',
    '{"<": [{"var": "instance.status_changed_at"}, {"now": null}]}',
    '{"<": [{"var": "instance.status_changed_at"}, {"now": [1]}]}',
    f'{{"<": [{{"var": "instance.status_changed_at"}}, {{"-": [{NOW}, {{"timestamp": "007d"}}]}}]}}',
    f'{{"<": [{{"var": "instance.status_changed_at"}}, {{"-": [{NOW}, {{"timestamp": "1.5d"}}]}}]}}',
    f'{{"<": [{{"var": "instance.status_changed_at"}}, {{"*": [{NOW}, {{"timestamp": "7d"}}]}}]}}',
    f'{{"starts_with": [{{"var": "instance.order_number"}}, {NOW}]}}',
)
AROUND_CALCULATIONS = (
    '{">": [{"var": "instance.total"}, {"*": [{"var": "old.total"}, 1.50]}]}',
    '{">": [{"var": "instance.total"}, {"*": [1.50, {"var": "old.total"}]}]}',
    '{">": [{"-": [{"var": "instance.total"}, {"var": "old.total"}]}, 1e2]}',
    '{">": [{"-": [5, {"var": "instance.total"}]}, 1]}',
    '{">": [{"-": [{"var": "instance.total"}]}, 1]}',
    '{">": [{"+": [{"var": "instance.total"}, 1, 2]}, 5]}',
    '{">": [{"+": [{"??": [{"var": "instance.discount"}, 0]}, 5]}, {"var": "instance.total"}]}',
    '{"<": [{"??": [{"var": "instance.total"}, 0]}, 5]}',
    '{"<": [{"??": [{"var": "instance.total"}, null]}, 5]}',
    '{"<": [{"??": [{"??": [{"var": "instance.total"}, 0]}, 1]}, 5]}',
    '{"in": [{"??": [{"var": "instance.status"}, "draft"]}, ["paid", "draft"]]}',
    '{"===": [{"+": [{"var": "instance.total"}, 1]}, null]}',
    '{"==": [{"%": [{"var": "instance.total"}, 2]}, 0]}',
    '{">": [{"+": [{"*": [{"var": "instance.total"}, 2]}, 1]}, 5]}',
    '{">": [{"/": [{"var": "instance.total"}, {"??": [{"var": "instance.items__count"}, 1]}]}, 5]}',
    '{"in": [{"+": [{"var": "instance.total"}, 1]}, [1, 2]]}',
)
AROUND_SIDES = (
    '{"<": [5, {"var": "instance.total"}]}',
    '{"==": [null, {"var": "instance.total"}]}',
    '{"!=": [{"var": "instance.customer_id"}, null]}',
    '{"!": [{"==": [{"var": "instance.customer_id"}, null]}]}',
    '{"<": [{"var": "instance.total"}, null]}',
    '{"in": [3, {"var": "m2m.pks"}]}',
    '{"in": [{"var": "instance.order_number"}, {"var": "request.path"}]}',
    '{"in": [{"var": "instance.order_number"}, {"var": "changed"}]}',
    '{"in": [true, {"var": "instance.order_number"}]}',
    '{"starts_with": [{"var": "request.path"}, {"var": "instance.order_number"}]}',
    '{"starts_with": ["/api/", {"var": "request.path"}]}',
    '{"some": [{"var": "m2m.objects"}, {"==": [{"var": "name"}, "\\u2028ü😀"]}]}',
    '{"none": [{"var": "m2m.objects"}, {"<": [1, {"var": "pk"}, 5]}]}',
    '{"some": [{"var": "instance.items"}, {"==": [{"var": "product_id"}, {"val": [[2], "instance", "pk"]}]}]}',
    '{"some": [{"var": "instance.items"}, {"<": [{"val": [[2], "old", "total"]}, {"var": "unit_price"}]}]}',
    '{"some": [{"var": "instance.items"}, {"<": [0, {"var": "quantity"}, {"val": [[2], "instance", "total"]}]}]}',
    '{"some": [{"var": "instance.items"}, {">": [{"var": "unit_price"}, {"val": [[2], "a.b", "total"]}]}]}',
    '{"some": [{"var": "instance.items"}, {">": [{"var": "unit_price"}, {"val": [[2.0], "instance", "total"]}]}]}',
    '{">": [{"var": "instance.total"}, {"val": [[2], "instance", "subtotal"]}]}',
    '{"some": [{"var": "a"}, {"some": [{"var": "b"}, {">": [{"var": "c"}, {"val": [[2], "d"]}]}]}]}',
    '{"in": [{"var": "instance.total"}, [' + ", ".join(str(number) for number in range(500)) + "]]}",
    '{"!": [' * 12
    + '{"and": [{"<": [1, {"var": "instance.total"}, 2], "<": [3, {"var": "old.total"}, 4]}]}'
    + "]}" * 12,
)
#: Each of these is there for a reason of its own: a shape, a spelling, a number, an odd end.
BY_HAND = (
    '{"var": "instance.status"}',
    '{"var": ["instance.status"]}',
    '{"var": ["instance.status", "draft"]}',
    '{"var": ""}',
    '{"var": 1}',
    '{"!!": [{"var": "instance.customer.email"}]}',
    '{"!!": {"var": "instance.customer.email"}}',
    '{"!": [{"var": "instance.customer"}]}',
    '{"!": {"var": "instance.customer_id"}}',
    '{"!": [{"!": [{"var": "instance.total"}]}]}',
    '{"==": [{"var": "instance.status"}, "paid"]}',
    '{"==":[{"var":"instance.status"},"paid"]}',
    '  {\n\t"=="  :[ {"var" : "instance.status"} ,\r\n "paid" ] }\n\n',
    '{"==": ["paid", {"var": "instance.status"}]}',
    '{"==": [{"var": "instance.status"}, null]}',
    '{"===": [{"var": "instance.status"}, null]}',
    '{"!==": [{"var": "instance.total"}, null]}',
    '{"===": [{"var": "instance.total"}, 1.0]}',
    '{"==": [{"var": "instance.total"}, 1]}',
    '{"==": [{"var": "instance.total"}, 1.0]}',
    '{"==": [{"var": "instance.total"}, 1e2]}',
    '{"==": [{"var": "instance.total"}, 1E+2]}',
    '{"==": [{"var": "instance.total"}, -0]}',
    '{"==": [{"var": "instance.total"}, "100"]}',
    '{"==": [{"var": "instance.total"}, true]}',
    '{">": [{"var": "instance.total"}, 12345678901234567890]}',
    '{">": [{"var": "instance.total"}, 0.1000000000000000055511151231257827]}',
    '{">": [{"var": "instance.total"}, 1e400]}',
    '{">": [{"var": "instance.total"}, {"var": "old.total"}]}',
    '{">": [{"var": "old.total"}, {"var": "instance.total"}]}',
    '{"<": [1, {"var": "instance.total"}, 5]}',
    '{"<=": [{"var": "instance.total"}]}',
    '{"==": [{"var": "instance.order_number"}, "\\u00e9\\u0041\\ud83d\\ude00"]}',
    '{"==": [{"var": "instance.order_number"}, "é😀 \\/ \\" \\\\"]}',
    '{"==": [{"var": "instance.order_number"}, "two\\nlines"]}',
    '{"==": [{"var": "instance.order_number"}, ""]}',
    '{"==": [{"var": "instance.order_number"}, "  spaces  "]}',
    '{"==": [{"var": "instance.order_number"}, "</textarea><script>alert(1)</script>"]}',
    '{"\\u003d=": [{"v\\u0061r": "instance.status"}, "p\\u0061id"]}',
    '{"in": ["status", {"var": "changed"}]}',
    '{"!": [{"in": ["status", {"var": "changed"}]}]}',
    '{"!": {"in": ["customer", {"var": "changed"}]}}',
    '{"in": ["", {"var": "changed"}]}',
    '{"in": ["nothing", {"var": "changed"}]}',
    '{"in": [{"var": "instance.status"}, ["paid", "shipped"]]}',
    '{"in": [{"var": "instance.status"}, ["paid", "unheard of"]]}',
    '{"in": [{"var": "instance.status"}, []]}',
    '{"in": [{"var": "instance.total"}, [1, 2.0, 3e1]]}',
    '{"in": [{"var": "instance.total"}, [1, "2", null]]}',
    '{"in": [{"var": "instance.order_number"}, ["a\\nb", " "]]}',
    '{"!": [{"in": [{"var": "instance.status"}, ["paid"]]}]}',
    '{"in": ["@example.com", {"var": "instance.customer.email"}]}',
    '{"!": [{"in": ["@example.com", {"var": "instance.customer.email"}]}]}',
    '{"in": [{"var": "instance.status"}, {"var": "instance.order_number"}]}',
    '{"in": [{"var": "instance.status"}]}',
    '{"starts_with": [{"var": "request.path"}, "/api/"]}',
    '{"!": [{"starts_with": [{"var": "request.path"}, "/api/"]}]}',
    '{"ends_with": [{"var": "instance.order_number"}, 5]}',
    '{"some": [{"var": "instance.items"}, {">": [{"var": "quantity"}, 2]}]}',
    '{"some": [{"var": "instance.items"}, {"and": [{">": [{"var": "quantity"}, 2]}, {"var": "product.name"}]}]}',
    '{"all": [{"var": "instance.items"}, {"var": ""}]}',
    '{"none": [{"var": "instance.items"}, {"!": [{"var": "product.category.name"}]}]}',
    '{"none": [{"var": "instance.itms"}, {"some": [{"var": "x"}, {"==": [{"var": "y"}, 1]}]}]}',
    '{"some": [{"var": "instance.items"}, {">": [{"var": "unit_price"}, {"val": [[2], "instance", "total"]}]}]}',
    '{"some": [{"filter": [{"var": "instance.items"}, true]}, {"var": "quantity"}]}',
    '{"some": [{"var": "instance.items"}]}',
    '{"some": [{"var": "instance.items"}, true, false]}',
    '{">": [{"var": "instance.items__count"}, 2]}',
    '{">": [{"var": "instance.items__quantity__sum"}, 2]}',
    '{">": [{"var": "instance.items__quantity__times__unit_price__sum"}, 2]}',
    '{">": [{"var": "instance.customer.orders__count"}, 2]}',
    '{"and": []}',
    '{"or": [ ]}',
    '{"and": [{"and": []}, {"var": "created"}]}',
    '{"and": {"var": "created"}}',
    '{"and": [{"var": "created"}]}',
    '{"or": [{"or": [{"or": [{"var": "created"}]}]}]}',
    '{"!": [{"or": [{"var": "created"}, {"var": "instance.total"}]}]}',
    '{"!": {"and": [{"var": "created"}, {"var": "instance.total"}]}}',
    '{"!": [{">": [{"var": "instance.total"}, 5]}]}',
    '{"!": [{">": [{"var": "instance.total"}, 5]}, 1]}',
    '{"!": []}',
    '{"and": [{"==": [{"var": "a.b.c.d.e"}, 1]}, {"==": [{"var": "instance."}, 1]}, {"==": [{"var": "."}, 1]}]}',
    '{"and": [{"var": "created"}], "or": [{"var": "created"}]}',
    '{"and": [{"var": "created"}], "and": [{"var": "instance.total"}]}',
    '{"and": [{"==": [1, 2], "==": [3, 4]}, {"var": "created", "var": "instance.total"}]}',
    '{"": []}',
    '{"": [{"var": "instance.total"}]}',
    '{"": [1]}',
    '{"__proto__": [{"var": "instance.total"}, 1]}',
    '{"constructor": [{"var": "instance.total"}, 1]}',
    '{"==": [{"var": "__proto__"}, 1]}',
    '{"nonsense": [{"var": "instance.total"}, {"and": [1]}]}',
    '{"if": [{"var": "created"}, {"var": "instance.total"}, 0]}',
    '{"and": [true, false, null, 1, -2.50, "x", [], {}, [[{"var": "created"}]]]}',
    "true",
    "null",
    '"text"',
    "[]",
    '[{"var": "created"}]',
    "{}",
    "0.10",
    '{"==": [{"var": "instance.status_changed_at"}, "2026-01-31T12:00:00+00:00"]}',
    '{">": [{"var": "instance.status_changed_at"}, "2026-01-31T12:00:00.250Z"]}',
    '{">": [{"var": "instance.status_changed_at"}, "yesterday"]}',
    '{">": [{"var": "instance.status_changed_at"}, {"now": []}]}',
    '{"and": [\n  {"==": [{"var": "old.status"}, "draft"]},\n\n  {"!": [{"var": "old.customer_id"}]}   ,'
    '{"var":"old.nothing"}]}',
    '{"==": [{"var": "event.operation"}, "create"]}',
    '{"==": [{"var": "actor.username"}, "root"]}',
    '{"==": [{"var": "signal.reason"}, "ill"]}',
    *AROUND_RANGES,
    *AROUND_MOMENTS,
    *AROUND_CALCULATIONS,
    *AROUND_SIDES,
)
NAMES = (
    "instance.status", "instance.total", "instance.customer_id", "instance.customer.email", "instance.items__count",
    "instance.totl", "old.status", "old.total", "created", "actor.username", "instance.status_changed_at",
)  # fmt: skip
OF_ROWS = ("quantity", "unit_price", "product.name", "product_id", "nothing")
VALUES = (
    '"paid"', '"draft"', '""', '"\\u00fcber"', '"ü"', "0", "1", "1.0", "1.50", "-3e2", "9007199254740993",
    "true", "false", "null", '"2026-01-31"', "[1,2]", '["a", "b"]', "{}",
)  # fmt: skip
COMPARED = ("==", "!=", "===", "!==", "<", "<=", ">", ">=", "starts_with", "ends_with", "in")
SPACES = ("", " ", "  ", "\n", "\n    ", "\t", " \n ")


class Writer:
    """Writes conditions by chance, the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def space(self) -> str:
        return self.chance.choice(SPACES) if self.chance.random() < 0.4 else ""

    def call(self, operator: str, *arguments: str) -> str:
        listed = f"{self.space()},{self.space()}".join(arguments)
        space = self.space
        return f'{{{space()}"{operator}"{space()}:{space()}[{space()}{listed}{space()}]{space()}}}'

    def variable(self, *, in_rows: bool) -> str:
        name = json.dumps(self.chance.choice(OF_ROWS if in_rows else NAMES))
        return self.call("var", name) if self.chance.random() < 0.3 else f'{{"var":{self.space()}{name}}}'

    def test(self, *, in_rows: bool) -> str:
        pick = self.chance.random()
        name = self.variable(in_rows=in_rows)
        if pick < 0.12:
            return self.call(self.chance.choice(("!", "!!")), name)
        if pick < 0.2:
            return self.call("in", '"status"', '{"var": "changed"}')
        if pick < 0.3:
            return self.call("in", self.chance.choice(VALUES[:5]), name)
        if pick < 0.45:
            return self.wider(name, in_rows=in_rows)
        right = self.chance.choice(VALUES) if self.chance.random() < 0.8 else self.variable(in_rows=in_rows)
        return self.call(self.chance.choice(COMPARED), name, right)

    def wider(self, name: str, *, in_rows: bool) -> str:
        """A range, or a comparison with a calculation or a moment on either side."""
        sides = [self.side(in_rows=in_rows) for _ in range(self.chance.choice((1, 1, 2, 3)))]
        sides.insert(self.chance.randrange(2) if len(sides) < 3 else 1, name)
        test = self.call(self.chance.choice(COMPARED[:8]), *sides)
        return self.call("!", test) if self.chance.random() < 0.2 else test

    def side(self, *, in_rows: bool) -> str:
        name = self.variable(in_rows=in_rows)
        value = self.chance.choice(VALUES)
        shift = self.call("timestamp", self.chance.choice(('"7d"', '"12h"', '"0m"', '"1d:1h"', "7")))
        moment = self.call(self.chance.choice("+-"), self.call("now"), shift)
        outside = f'{{"val": [[{self.chance.choice("12")}], "instance", "total"]}}'
        dated = self.call(
            "format_date", self.chance.choice((moment, self.call("now"))), '"yyyy-MM-dd"', '"Europe/Berlin"'
        )
        calculated = self.call(
            self.chance.choice("+-*/%"), name, self.chance.choice((value, self.variable(in_rows=in_rows)))
        )
        return self.chance.choice((value, value, moment, outside, dated, calculated, self.call("??", name, value)))

    def odd(self) -> str:
        operator = self.chance.choice((*sorted(operators()), "unheard_of", "And", "=", "a/b", "a~b"))
        values = [self.chance.choice(VALUES) for _ in range(self.chance.randrange(4))]
        return self.call(operator, *values)

    def condition(self, depth: int = 0, *, in_rows: bool = False) -> str:
        pick = self.chance.random()
        if depth > 2 or pick < 0.35:
            return self.test(in_rows=in_rows)
        if pick < 0.45:
            return self.odd()
        if pick < 0.55:
            return self.call("!", self.condition(depth + 1, in_rows=in_rows))
        if pick < 0.68 and not in_rows:
            quantifier = self.chance.choice(("some", "all", "none"))
            return self.call(quantifier, '{"var": "instance.items"}', self.condition(depth + 1, in_rows=True))
        parts = [self.condition(depth + 1, in_rows=in_rows) for _ in range(self.chance.randrange(1, 5))]
        return self.call(self.chance.choice(("and", "or")), *parts)


def written_conditions(count: int) -> list[str]:
    """``BY_HAND``, one of each operator, and as many made by chance as make that number up."""
    texts = [*BY_HAND, *_of_each_operator()]
    return [*texts, *(Writer(seed).condition() for seed in range(count - len(texts)))]


def _of_each_operator() -> Iterator[str]:
    for name in sorted(operators()):
        yield f'{{"or": [{{{json.dumps(name)}: [{{"var": "instance.total"}}, 1]}}, {{"var": "created"}}]}}'
