"""Objects that behave as nobody expects of an argument of a signal, or of a part of a request."""

from __future__ import annotations

import random
from collections import UserDict, deque
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from django.http import HttpRequest, QueryDict
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext_lazy

from project.shop.models import Order
from tests.fuzz import making


class OddError(Exception):
    """Raised where nothing should raise, and unwilling to say why."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def refuse(*_given: Any, **_named: Any) -> Any:
    raise OddError


def _refusing(*names: str) -> type:
    return type("Refusing", (), dict.fromkeys(names, refuse))


class Endless:
    """Goes on and on, and is another thing at each look."""

    def __iter__(self) -> Iterator[Any]:
        while True:
            yield self

    def __getattr__(self, name: str) -> Any:
        return self if not name.startswith("__") else refuse()


class Liar(str):
    """A text that says it is as long as it likes."""

    __slots__ = ()

    def __len__(self) -> int:
        return -(2**31)

    def __str__(self) -> str:
        return refuse()  # type: ignore[no-any-return]


class OddDict(dict[Any, Any]):
    """A dict that cannot be gone through."""

    items = keys = values = __iter__ = refuse  # type: ignore[assignment]


def _own_list() -> list[Any]:
    made: list[Any] = []
    made.append(made)
    return made


def _own_dict() -> dict[Any, Any]:
    made: dict[Any, Any] = {}
    made["self"] = made
    return made


def _nested() -> Any:
    value: Any = []
    for _ in range(3_000):
        value = [value]
    return value


def _wide() -> Any:
    row = list(range(1_000))
    return [row] * 1_000


MAKERS: tuple[Callable[[], Any], ...] = (
    *(_refusing("__str__", "__repr__"), _refusing("__eq__", "__hash__"), _refusing("__bool__", "__len__")),
    *(_refusing("__iter__", "__getattribute__"), _refusing("__class__"), _refusing("__format__", "__reduce__")),
    *(Endless, OddDict, OddError, object, Order, _own_list, _own_dict, _nested, _wide, HttpRequest, uuid4),
    *(lambda: Liar("x"), lambda: OddDict(a=1), lambda: {1: 2, None: 3, (): 4, b"x": 5}, lambda: {"password": "x"}),
    *(lambda: 10**5_000, lambda: -(10**40), lambda: float("nan"), lambda: float("-inf"), lambda: Decimal("NaN")),
    *(
        lambda: Decimal("1e999999"),
        lambda: complex(1, 2),
        lambda: b"\xff\x00",
        lambda: bytearray(10),
        lambda: range(10**9),
    ),
    *(
        lambda: memoryview(b"x"),
        lambda: datetime.max.replace(tzinfo=UTC),
        lambda: datetime.min.replace(tzinfo=UTC),
        lambda: date.min,
    ),
    *(lambda: timedelta.max, lambda: (x for x in "abc"), lambda: iter([1]), lambda: deque([1]), lambda: UserDict(a=1)),
    *(
        lambda: Order,
        lambda: refuse,
        lambda: len,
        lambda: Ellipsis,
        lambda: NotImplemented,
        lambda: {1, "a"},
        lambda: type,
    ),
    *(lambda: SimpleLazyObject(refuse), lambda: gettext_lazy("x"), lambda: QueryDict("a=1&a=2"), lambda: Order.objects),
    *(lambda: Order.objects.all(), lambda: Order(pk="no number"), lambda: Order(total="x"), lambda: ValueError(refuse)),
    *(lambda: "x" * 2_000_000, lambda: "\ud800\x00\u202e", lambda: "a\r\nb\x1b[2J", lambda: [None] * 100_000),
)


def odd(chance: random.Random, depth: int = 2) -> Any:
    """An odd object, alone or in a list, a tuple or a dict of others."""
    kind = chance.random()
    if depth and kind < 0.15:
        return [odd(chance, depth - 1) for _ in range(chance.randint(0, 3))]
    if depth and kind < 0.2:
        return (odd(chance, depth - 1), odd(chance, depth - 1))
    if depth and kind < 0.3:
        return {chance.choice(making.NAMES): odd(chance, depth - 1) for _ in range(chance.randint(0, 3))}
    return making.leaf(chance) if kind < 0.4 else chance.choice(MAKERS)()
