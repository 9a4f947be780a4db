"""What related rows come to: in conditions, texts and the values that actions write."""

from __future__ import annotations

import datetime
import random
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext

from project.accounts.models import User
from project.shop.models import Order, OrderItem, Product, Tag
from rules_engine.conditions import instance, logic
from rules_engine.context import aggregates, snapshot
from rules_engine.context.paths import aggregates_in
from rules_engine.context.related import held
from rules_engine.errors import InvalidRule
from rules_engine.models import Event, Execution
from rules_engine.testing import create_rule, explain, run_due
from tests.factories import make_animals, make_order, make_product, order_with_items
from tests.integration.test_update_objects import outcome, problems_of, row, rule
from tests.threads import run_together
from tests.zoo.models import Animal, Club, Dog, Friend, Keeper, Meal, Membership
from tests.zoo.models import Tag as ZooTag

pytestmark = pytest.mark.django_db(transaction=True)

TOTAL = "items__quantity__times__unit_price__sum"
LOG = [("log_message", {"message": "x"})]
SUBTOTAL = {"target": "order", "values": [row("subtotal", f"{{{{ row.{TOTAL} }}}}")]}


def told(model: Any, text: str, **fields: Any) -> None:
    create_rule(model=model, actions=[("log_message", {"message": text})], **fields)


def last_text() -> str:
    run_due()
    return outcome()[1].removeprefix("Logged: ")


def values_of(animal: Animal, *names: str) -> list[Any]:
    return list(snapshot.read(animal, {name: {} for name in names}).values())


def test_a_condition_on_a_count_matches_from_the_third_row_on() -> None:
    create_rule(model=OrderItem, condition=logic(instance.order.items__count > 2), actions=LOG)
    order_with_items((1, "1"), (1, "1"))
    assert not Execution.objects.exists()
    order_with_items((1, "1"), (1, "1"), (1, "1"))
    assert Execution.objects.count() == 1


def test_a_condition_compares_an_exact_sum_and_an_empty_one_is_zero() -> None:
    over = create_rule(model=Order, operations=["update"], condition={">": [{"var": f"instance.{TOTAL}"}, 0.3]})
    even = create_rule(model=Order, operations=["update"], condition={"==": [{"var": f"instance.{TOTAL}"}, 0.3]})
    none = create_rule(model=Order, operations=["update"], condition={"==": [{"var": f"instance.{TOTAL}"}, 0]})
    order_with_items((1, "0.10"), (2, "0.10")).save()
    event = Event.objects.get()
    assert [explain(one, event).outcome for one in (over, even, none)] == ["not_matched", "matched", "not_matched"]
    order_with_items().save()
    event = Event.objects.latest("occurred_at")
    assert [explain(one, event).outcome for one in (over, even, none)] == ["not_matched", "not_matched", "matched"]


def test_a_text_has_the_exact_digits() -> None:
    told(OrderItem, f"{{{{ instance.order.{TOTAL} }}}} for {{{{ instance.order.items__count }}}}")
    order_with_items((3, "19.99"), (7, "0.01"))
    assert last_text() == "60.04 for 2"


def test_what_is_stored_with_the_event_is_exact_too() -> None:
    told(Order, f"{{{{ instance.{TOTAL} }}}}", operations=["update"])
    order_with_items((3, "19.99")).save()
    assert Event.objects.get().captured().context["instance"] == {TOTAL: Decimal("59.97")}


def test_many_to_many_relations_are_counted_from_both_sides() -> None:
    told(Product, "{{ instance.tags__count }}", signals=["m2m_changed"])
    told(Tag, "{{ instance.products__count }} {{ instance.products__price__min }}", operations=["update"])
    red, new = Tag.objects.create(name="red"), Tag.objects.create(name="new")
    product = make_product(price=Decimal("1.10"))
    product.tags.add(red, new)
    assert last_text() == "2"
    make_product(price=Decimal("0.90")).tags.add(red)
    run_due()
    red.save()
    assert last_text() == "2 0.90"


def test_of_a_deleted_object_the_rows_are_counted_before() -> None:
    told(Product, "{{ instance.tags__count }}", signals=["pre_delete"])
    product = make_product()
    product.tags.add(Tag.objects.create(name="red"))
    product.delete()
    assert last_text() == "1"


def test_of_a_deleted_object_the_rows_are_gone_afterwards() -> None:
    told(Product, "{{ instance.tags__count }}", signals=["post_delete"])
    product = make_product()
    product.tags.add(Tag.objects.create(name="red"))
    product.delete()
    assert last_text() == "0"


def test_a_new_object_has_no_rows_before_its_save() -> None:
    told(Order, f"{{{{ instance.items__count }}}}, {{{{ instance.{TOTAL} }}}}", signals=["pre_save"])
    order_with_items()
    assert last_text() == "0, 0.00"


def test_both_databases_find_the_same() -> None:
    animal = Animal.objects.create(name="a")
    for portions, grams, price in ((1, 0.1, "0.105"), (2, 0.2, "10.000"), (7, 0.4, "3.333")):
        Meal.objects.create(animal=animal, portions=portions, spoons=3, grams=grams, price=price, discount="0.25")
    expected: dict[str, Any] = {
        "meals__count": 3,
        "meals__portions__sum": 10,
        # MySQL and MariaDB divide to four digits more than a number has.
        "meals__portions__avg": 3.3333 if connection.vendor == "mysql" else 3.33333333333333,
        "meals__portions__min": 1,
        "meals__doubled__sum": 20,
        "meals__doubled__max": 14,
        "meals__grams__sum": 0.7,
        "meals__grams__max": 0.4,
        "meals__price__sum": Decimal("13.438"),
        "meals__price__avg": Decimal("4.4793333"),
        "meals__price__min": Decimal("0.105"),
        "meals__price__max": Decimal("10.000"),
        "meals__portions__times__spoons__sum": 30,
        "meals__portions__times__spoons__avg": 10.0,
        "meals__portions__times__spoons__max": 21,
        "meals__portions__times__price__sum": Decimal("43.436"),
        "meals__price__times__discount__sum": Decimal("3.35950"),
        "meals__price__times__discount__min": Decimal("0.02625"),
        "meals__price__times__discount__avg": Decimal("1.119833333"),
        "meals__portions__times__grams__sum": 3.3,
        "meals__grams__times__price__max": 2.0,
    }
    found = snapshot.read(animal, {name: {} for name in expected})
    assert found == expected
    assert {name: (type(one), str(one)) for name, one in found.items()} == {
        name: (type(one), str(one)) for name, one in expected.items()
    }


def test_dates_and_texts_have_a_first_and_a_last() -> None:
    keeper = Keeper.objects.create(name="k")
    fed_at = datetime.datetime(2026, 1, 2, 3, tzinfo=datetime.UTC)
    Animal.objects.create(name="b", keeper=keeper, born=datetime.date(2025, 5, 5), fed_at=fed_at)
    Animal.objects.create(name="a", keeper=keeper, born=datetime.date(2024, 5, 5))
    names = ("born__min", "born__max", "fed_at__max", "name__min")
    assert list(snapshot.read(keeper, {f"animals__{name}": {} for name in names}).values()) == [
        "2024-05-05",
        "2025-05-05",
        "2026-01-02T03:00:00+00:00",
        "a",
    ]


def test_a_descendant_counts_the_rows_of_its_parent() -> None:
    dog = Dog.objects.create(name="d")
    Meal.objects.create(animal=dog, portions=3)
    assert values_of(dog, "meals__count", "meals__portions__sum") == [1, 3]


def test_rows_without_a_value_are_counted_and_not_added_up() -> None:
    keeper = Keeper.objects.create(name="k")
    Animal.objects.create(name="a", keeper=keeper)
    found = snapshot.read(keeper, {"animals__count": {}, "animals__weight__sum": {}, "animals__weight__avg": {}})
    assert list(found.values()) == [1, Decimal("0.00"), None]


def test_whole_numbers_whose_product_fits_no_column_are_multiplied() -> None:
    animal = Animal.objects.create(name="a")
    for _ in range(2):
        Meal.objects.create(animal=animal, portions=2**30 - 1, spoons=2**31 - 1)
    name = "meals__portions__times__spoons__max"
    assert values_of(animal, name, "meals__portions__sum") == [(2**30 - 1) * (2**31 - 1), 2 * (2**30 - 1)]


def test_rows_beyond_the_limit_are_counted_as_well(settings: LazySettings) -> None:
    settings.RULES_ENGINE = {"ROWS_LIMIT": 2}
    rule(OrderItem, SUBTOTAL)
    order = order_with_items((1, "1.05"), (1, "1.05"), (1, "1.05"), (1, "1.05"))
    run_due()
    order.refresh_from_db()
    assert (outcome()[0], order.subtotal) == ("succeeded", Decimal("4.20"))


def test_all_that_is_asked_of_a_relation_takes_one_query() -> None:
    order = order_with_items((1, "1"), (2, "2"))
    asked = ("items__count", "items__quantity__max", TOTAL, "status_history__count")
    with CaptureQueriesContext(
        connection,
    ) as queries:
        snapshot.read(order, {name: {} for name in asked})
    assert len(queries) == 2


def test_rules_with_other_aggregates_of_one_relation_share_the_query() -> None:
    for name in ("items__count", "items__quantity__sum", TOTAL):
        create_rule(model=Order, operations=["update"], condition={">": [{"var": f"instance.{name}"}, 99]})
    order = order_with_items((1, "1"))
    with CaptureQueriesContext(connection) as queries:
        order.save()
    assert len([one for one in queries if "COUNT(" in one["sql"]]) == 1
    assert len([one for one in queries if "shop_orderitem" in one["sql"]]) == 1


def test_a_rule_that_cannot_match_takes_no_query() -> None:
    create_rule(
        model=Order,
        changes=[{"field": "status", "to": "paid"}],
        condition=logic(instance.items__count > 2),
        actions=LOG,
    )
    order = order_with_items((1, "1"))
    with CaptureQueriesContext(connection) as queries:
        order.save()
    assert not [one for one in queries if "shop_orderitem" in one["sql"]]


def test_rows_that_the_caller_prefetched_are_counted_anew() -> None:
    create_rule(model=Order, condition=logic(instance.items__count == 2), actions=LOG)
    order = Order.objects.prefetch_related("items").get(pk=order_with_items((1, "1")).pk)
    OrderItem.objects.create(order=order, product=make_product(), unit_price=1)
    order.save()
    assert Execution.objects.count() == 1


def test_s03_the_subtotal_and_total_follow_each_item_with_their_cents() -> None:
    total = {"-": [{"+": [{"var": f"row.{TOTAL}"}, {"var": "row.shipping_cost"}]}, {"var": "row.discount"}]}
    config = {**SUBTOTAL, "values": [*SUBTOTAL["values"], row("total", total)]}
    rule(OrderItem, config, signals=["post_save", "post_delete"])
    order = order_with_items((3, "19.99"), (1, "0.07"))
    Order.objects.update(shipping_cost=Decimal("4.90"), discount=Decimal("1.00"))
    run_due()
    order.refresh_from_db()
    assert (order.subtotal, order.total) == (Decimal("60.04"), Decimal("63.94"))
    order.items.order_by("pk")[0].delete()
    run_due()
    order.refresh_from_db()
    assert (order.subtotal, order.total) == (Decimal("0.07"), Decimal("3.97"))
    order.items.get().delete()
    run_due()
    order.refresh_from_db()
    assert (order.subtotal, order.total) == (Decimal("0.00"), Decimal("3.90"))


def test_s08_tags_are_recounted_when_they_come_go_and_lose_a_product() -> None:
    values = [row("product_count", "{{ row.products__count }}")]
    changed = {"target": "query", "model": "shop.tag", "filter": [row("pk__in", {"var": "m2m.pks"})], "values": values}
    rule(Product, changed, signals=["m2m_changed"])
    rule(Product, {"target": "tags", "values": values}, signals=["pre_delete"])
    tags = [Tag.objects.create(name=name) for name in "ab"]
    product, other = make_product(), make_product()

    def counted() -> list[int]:
        run_due()
        return list(Tag.objects.order_by("name").values_list("product_count", flat=True))

    product.tags.set(tags)
    tags[0].products.add(other)
    assert counted() == [2, 1]
    other.tags.clear()
    assert counted() == [1, 1]
    product.delete()
    assert counted() == [0, 0]


@pytest.mark.row_locks
def test_s03_the_subtotal_is_exact_when_twenty_save_items_at_once() -> None:
    rule(OrderItem, SUBTOTAL)
    order, pen = make_order(), make_product()

    def work(_number: int) -> None:
        OrderItem.objects.create(order=order, product=pen, quantity=3, unit_price=Decimal("19.99"))
        run_due()

    run_together(20, work)
    run_due()
    order.refresh_from_db()
    assert set(Execution.objects.values_list("state", flat=True)) == {"succeeded"}
    assert order.subtotal == Decimal("1199.40")


def test_the_author_needs_to_view_the_rows_that_are_counted() -> None:
    author = User.objects.create_user("ada")
    author.user_permissions.set(Permission.objects.filter(codename__in=["view_product", "change_tag", "view_tag"]))
    config = {"values": [row("product_count", "{{ row.products__count }}")]}
    rule(Tag, config, author=author)
    author.user_permissions.remove(Permission.objects.get(codename="view_product"))
    tag = Tag.objects.create(name="red")
    tag.products.add(make_product())
    run_due()
    assert outcome() == ("refused", Execution.objects.get().error)
    assert "shop.view_product" in outcome()[1]
    author.user_permissions.add(Permission.objects.get(codename="view_product"))
    tag.save()
    run_due()
    tag.refresh_from_db()
    assert tag.product_count == 1


@pytest.mark.parametrize(
    ("fields", "pointer", "message"),
    [
        ({"condition": {">": [{"var": "instance.itms__count"}, 2]}}, "/condition/>/0", 'Did you mean "items"?'),
        ({"condition": {">": [{"var": "items__count"}, 2]}}, "/condition/>/0", 'Did you mean "instance.items__count"?'),
        ({"condition": {">": [{"var": "old.items__count"}, 2]}}, "/condition/>/0", "no field of order"),
        ({"changes": [{"field": "items__count"}]}, "/changes/0/field", "worked out from rows"),
        (
            {"condition": {"some": [{"var": "instance.items"}, {">": [{"var": "product__tags__count"}, 1]}]}},
            "/condition/some/1/>/0",
            "no field",
        ),
        (
            {"actions": [("log_message", {"message": "{{ instance.items__quantty__sum }}"})]},
            "/actions/0/config/message",
            'Did you mean "quantity"?',
        ),
        (
            {"actions": [("log_message", {"message": "{{ instance.items.0.product.tags__count }}"})]},
            "/actions/0/config/message",
            "a query for each of the rows",
        ),
    ],
)
def test_a_mistake_in_a_rule_is_said_at_its_place(fields: Mapping[str, Any], pointer: str, message: str) -> None:
    with pytest.raises(InvalidRule) as caught:
        create_rule(model=Order, **{"actions": LOG, **fields})
    (problem,) = caught.value.problems
    assert problem.pointer == pointer
    assert message in problem.message


@pytest.mark.parametrize(
    ("config", "pointer", "message"),
    [
        ({"values": [row("subtotal", "{{ row.items__quantity__smu }}")]}, "/values/0/value", 'Did you mean "sum"?'),
        ({"values": [row("items__count", 1)]}, "/values/0/field", "worked out from rows"),
        ({"filter": [row("items__count", 1)], "values": []}, "/filter/0/field", 'has no field "count"'),
        ({"filter": [row("items__quantity__sum", 1)], "values": []}, "/filter/0/field", '"sum" is no lookup'),
    ],
)
def test_an_aggregate_is_read_and_neither_written_nor_filtered_by(
    config: Mapping[str, Any], pointer: str, message: str
) -> None:
    (problem,) = problems_of(config)
    assert problem.pointer == pointer
    assert message in problem.message


def test_a_field_named_like_a_function_is_still_a_filter() -> None:
    rule(Tag, {"target": "query", "model": "shop.order", "filter": [row("items__quantity__gt", 2)], "values": []})
    order_with_items((3, "1"), (4, "1"))
    Tag.objects.create(name="red")
    run_due()
    assert outcome() == ("succeeded", "Updated 1 of orders")


def test_texts_of_many_to_many_rows_have_a_last() -> None:
    animal = Animal.objects.create(name="a")
    animal.tags.add(*[ZooTag.objects.create(name=name) for name in "ab"])
    assert values_of(animal, "tags__count", "tags__name__max") == [2, "b"]


@pytest.mark.parametrize(
    ("model", "relation"),
    [
        (Animal, "tags"),
        (Dog, "tags"),
        (ZooTag, "animals"),
        (Club, "members"),
        (Animal, "clubs"),
        (Friend, "friends"),
        (Friend, "follows"),
        (Friend, "followers"),
    ],
)
def test_relations_to_many_are_read_for_many_objects_at_once(model: Any, relation: str) -> None:
    chance = random.Random(relation)
    dogs = [Dog.objects.create(name=f"d{n}", breed="x") for n in range(4)]
    animals = [*Animal.objects.filter(pk__in=[dog.pk for dog in dogs]), *make_animals("a", "b")]
    tags = [ZooTag.objects.create(name=f"t{n}") for n in range(3)]
    clubs = [Club.objects.create(name=f"c{n}") for n in range(3)]
    friends = [Friend.objects.create(name=f"f{n}") for n in range(4)]
    for animal in animals:
        animal.tags.set(chance.sample(tags, chance.randrange(4)))
        for club in chance.choices(clubs, k=chance.randrange(4)):
            Membership.objects.create(club=club, animal=animal)
    for friend in friends:
        friend.friends.add(*chance.sample(friends, chance.randrange(3)))
        friend.follows.add(*chance.sample(friends, chance.randrange(3)))
    wanted = aggregates_in(model, [f"{relation}__count", f"{relation}__name__max"])
    objects = list(model.objects.order_by("pk"))
    with CaptureQueriesContext(connection) as asked:
        aggregates.fetch(objects, wanted, held.Together())
    assert len(asked) == 1
    fetched = [dict(held.values_of(each)) for each in objects]
    assert fetched == [aggregates.read(each, wanted) for each in model.objects.order_by("pk")]
    assert len({each[f"{relation}__count"] for each in fetched}) > 1
