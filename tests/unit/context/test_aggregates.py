"""Names of aggregates and what they come to, without a database."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from project.accounts.models import User
from project.shop.models import Order, OrderItem, Product
from rules_engine.context import snapshot
from rules_engine.context.paths import aggregate_of, resolve
from rules_engine.errors import UnknownPath
from rules_engine.rules.scope import view_permissions
from rules_engine.types import Path, RuleSpec
from tests.zoo.models import Animal, Keeper

TOTAL = "items__quantity__times__unit_price__sum"


@pytest.mark.parametrize(
    "path",
    [
        ("items__count",),
        ("items__quantity__sum",),
        ("items__unit_price__avg",),
        ("items__pk__max",),
        (TOTAL,),
        ("customer", "orders__total__max"),
        ("status_history__at__min",),
        ("status_history__to_status__max",),
    ],
)
def test_an_aggregate_is_a_plain_value_of_its_object(path: Path) -> None:
    assert resolve(Order, path).kind == "value"
    with pytest.raises(UnknownPath, match="is a plain value and has no"):
        resolve(Order, (*path, "x"))


@pytest.mark.parametrize(
    ("model", "path", "message"),
    [
        (Order, "itms__count", 'Order has no field "itms". Did you mean "items"?'),
        (Order, "items__quantty__sum", 'Order item has no field "quantty". Did you mean "quantity"?'),
        (Order, "items__quantity__times__unit_prce__sum", 'Did you mean "unit_price"?'),
        (Order, "items__quantity__smu", 'Did you mean "sum"? Write "items__count"'),
        (Order, "items__quantity", "is nothing that can be worked out"),
        (Order, "items__quantity__count", "is nothing that can be worked out"),
        (Order, "items__", "is nothing that can be worked out"),
        (Order, "items__sum", "is nothing that can be worked out"),
        (Order, "items__quantity__plus__unit_price__sum", "is nothing that can be worked out"),
        (Order, "items__product__price__sum", "is nothing that can be worked out"),
        (Order, "items__product__sum", '"product" of order item is no number'),
        (Order, "items__product_id__max", "is no number, date or text"),
        (Order, "status_history__to_status__sum", '"to_status" of status history is no number'),
        (Order, "status_history__at__avg", "is no number"),
        (Order, "status__count", '"status" of order is no relation to many rows'),
        (OrderItem, "order__items__count", 'as "order__items__count" needs one; write "order.items__count".'),
        (OrderItem, "order__status", 'has no field "order__status"'),
        (Animal, "meals__is_warm__max", "is no number, date or text"),
        (Animal, "meals__lasted__sum", "is no number"),
        (Animal, "meals__api_key__sum", 'Rules may not read "api_key" of meal.'),
        (Animal, "meals__portions__times__api_key__max", 'Rules may not read "api_key" of meal.'),
        (User, "groups__count", 'Rules may not read "groups" of user.'),
        (
            Order,
            "items.product__count",
            '"product" of order item is no relation to many rows, as "product__count" needs one.',
        ),
        (Order, "items.product.tags__count", 'stands behind "items" and would be a query for each of its rows'),
        (Order, "items.0.product.tags__count", "would be a query for each"),
        (Product, "tags.products__count", "would be a query for each"),
        (Keeper, "__count", 'has no field "__count"'),
        (Keeper, "__", 'has no field "__"'),
    ],
)
def test_a_name_that_is_no_aggregate_is_refused_with_what_to_write(model: type, path: str, message: str) -> None:
    with pytest.raises(UnknownPath, match=re.escape(message)):
        resolve(model, tuple(path.split(".")))


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("meals__count", None, 0),
        ("meals__portions__sum", None, 0),
        ("meals__price__sum", None, Decimal("0.000")),
        ("meals__price__max", None, None),
        ("meals__portions__avg", None, None),
        ("meals__price__sum", Decimal("59.97"), Decimal("59.970")),
        ("meals__price__sum", Decimal("59.9700000000001"), Decimal("59.970")),
        ("meals__price__avg", Decimal(10) / 3, Decimal("3.3333333")),
        ("meals__price__times__discount__sum", Decimal("0.1"), Decimal("0.10000")),
        ("meals__portions__times__price__min", Decimal("2"), Decimal("2.000")),
        ("meals__price__sum", Decimal(10) ** 40, Decimal("1" + "0" * 40 + ".000")),
        ("meals__grams__sum", 0.1 + 0.2, 0.3),
        ("meals__grams__max", 0.1 + 0.2, 0.1 + 0.2),
        ("meals__portions__avg", 10 / 3, 3.33333333333333),
    ],
)
def test_what_the_database_found_has_the_digits_of_its_fields(name: str, raw: object, value: object) -> None:
    found = aggregate_of(Animal, name).value(raw)
    assert found == value
    assert str(found) == str(value)


def test_an_object_without_a_key_has_no_rows_and_takes_no_query() -> None:
    tree: snapshot.Tree = {TOTAL: {}, "items__count": {}, "items__unit_price__max": {}}
    assert snapshot.read(Order(), tree) == {TOTAL: Decimal("0.00"), "items__count": 0, "items__unit_price__max": None}


def test_reading_an_aggregate_takes_the_view_permission_of_its_rows() -> None:
    rule = RuleSpec(slug="r", model="shop.orderitem", signals=("post_save",))
    assert view_permissions(rule, [("instance", "product", "tags__count")]) == {
        "shop.view_orderitem",
        "shop.view_product",
        "shop.view_tag",
    }
