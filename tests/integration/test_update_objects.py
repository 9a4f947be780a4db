"""The action ``update_objects``: changed rows, through the whole engine."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import Permission
from django.db.models.signals import post_save

from project.accounts.models import User
from project.clinic.models import Appointment, Doctor, DoctorProfile, Patient
from project.shop.models import Category, Order, OrderItem, Product, Tag
from rules_engine.errors import InvalidRule, PermanentError, Problem, Refused
from rules_engine.models import AuditEntry, Execution
from rules_engine.rules import registry
from rules_engine.testing import ActionContractTests, create_rule, run_due
from rules_engine.types import RuleSpec
from tests.factories import make_appointment, make_doctor, make_order, make_product
from tests.threads import run_together
from tests.zoo.models import Animal

pytestmark = pytest.mark.django_db(transaction=True)

KIND = "update_objects"
#: What the items of the order come to.
SUM = {
    "reduce": [
        {"var": "row.items"},
        {"+": [{"var": "accumulator"}, {"*": [{"var": "current.quantity"}, {"var": "current.unit_price"}]}]},
        0,
    ]
}
TOTALS = {
    "target": "order",
    "values": [
        {"field": "subtotal", "value": SUM},
        {"field": "total", "value": {"-": [{"+": [SUM, {"var": "row.shipping_cost"}]}, {"var": "row.discount"}]}},
    ],
}


def rule(model: Any, config: Mapping[str, Any], **fields: Any) -> None:
    create_rule(model=model, actions=[(KIND, config)], **fields)


def problems_of(config: Mapping[str, Any], model: Any = Order, **fields: Any) -> list[Problem]:
    with pytest.raises(InvalidRule) as caught:
        rule(model, config, **fields)
    return [Problem(p.pointer.removeprefix("/actions/0/config"), p.message) for p in caught.value.problems]


def row(field: str, value: Any, how: str | None = None) -> dict[str, Any]:
    return {"field": field, "value": value} | ({"how": how} if how else {})


def outcome() -> tuple[str, str]:
    execution = Execution.objects.latest("created_at")
    return execution.state, execution.error or execution.summary


class TestContract(ActionContractTests):
    kind = KIND
    config = {"target": "query", "model": "clinic.patient", "filter": [row("name", "x")], "values": [row("email", "")]}
    context = {"instance": {}}
    rule = RuleSpec(slug="r", model="clinic.department", signals=("post_save",))


def test_c03_the_profile_is_touched_whenever_its_user_is_saved() -> None:
    rule(User, {"target": "doctor_profile"}, operations=["update"])
    create_rule(model=DoctorProfile, operations=["update"], actions=[("write_audit_entry", {})])
    user, other = User.objects.create(username="ada"), User.objects.create(username="eve")
    profile = DoctorProfile.objects.create(user=user)
    before = profile.updated_at
    other.save()
    assert run_due() == 1
    assert outcome() == ("succeeded", "Nothing to update")
    user.save()
    assert run_due() == 2
    profile.refresh_from_db()
    assert profile.updated_at > before
    assert AuditEntry.objects.count() == 1


def test_c09_a_vacation_cancels_appointments_with_a_note() -> None:
    rule(
        Doctor,
        {
            "target": "appointments",
            "filter": [row("status", "scheduled")],
            "values": [
                row("status", "cancelled"),
                row("notes", "\n{{ instance.last_name }} is away, {{ row.patient.name }}.", "append"),
            ],
        },
        changes=[{"field": "is_on_vacation", "from": False, "to": True}],
    )
    create_rule(
        model=Appointment, changes=[{"field": "status", "to": "cancelled"}], actions=[("write_audit_entry", {})]
    )
    doctor = make_doctor()
    first = make_appointment(doctor=doctor, notes="Bring X-rays.")
    done = make_appointment(doctor=doctor, status="completed")
    elsewhere = make_appointment()
    doctor.is_on_vacation = True
    doctor.save()
    assert run_due() == 2
    first.refresh_from_db()
    assert (first.status, first.notes) == ("cancelled", "Bring X-rays.\nByron is away, Tom Novak.")
    for untouched in (done, elsewhere):
        before = (untouched.status, untouched.notes)
        untouched.refresh_from_db()
        assert (untouched.status, untouched.notes) == before
    assert AuditEntry.objects.get().object_pk == str(first.pk)


def test_s03_the_totals_follow_each_item_that_is_saved_or_deleted() -> None:
    rule(OrderItem, TOTALS, signals=["post_save", "post_delete"])
    order = Order.objects.create(order_number="A1", shipping_cost=Decimal("4.90"), discount=Decimal("1.00"))
    pen = make_product()
    three = OrderItem.objects.create(order=order, product=pen, quantity=3, unit_price=Decimal("1.10"))
    OrderItem.objects.create(order=order, product=pen, quantity=1, unit_price=Decimal("0.20"))
    run_due()
    order.refresh_from_db()
    assert (order.subtotal, order.total) == (Decimal("3.50"), Decimal("7.40"))
    three.delete()
    assert run_due() == 1
    order.refresh_from_db()
    assert (order.subtotal, order.total) == (Decimal("0.20"), Decimal("4.10"))


@pytest.mark.row_locks
def test_s03_totals_are_exact_while_workers_run() -> None:
    rule(OrderItem, TOTALS)
    order, pen = make_order(order_number="A1"), make_product()

    def work(_number: int) -> None:
        for _ in range(5):
            OrderItem.objects.create(order=order, product=pen, quantity=2, unit_price=Decimal("1.10"))
            run_due()

    run_together(4, work)
    run_due()
    order.refresh_from_db()
    assert set(Execution.objects.values_list("state", flat=True)) == {"succeeded"}
    assert (order.subtotal, order.total) == (Decimal("44.00"), Decimal("44.00"))


def test_s05_the_time_of_a_change_of_status_is_kept() -> None:
    rule(Order, {"values": [row("status_changed_at", "{{ event.occurred_at }}")]}, changes=[{"field": "status"}])
    order = make_order(order_number="A1")
    run_due()
    order.refresh_from_db()
    assert order.status_changed_at == Execution.objects.get().event.occurred_at


def test_s08_the_tags_that_a_product_gains_or_loses_are_recounted() -> None:
    rule(
        Product,
        {
            "target": "query",
            "model": "shop.tag",
            "filter": [row("pk__in", {"var": "m2m.pks"})],
            "values": [row("product_count", {"length": {"var": "row.products"}})],
        },
        signals=["m2m_changed"],
    )
    tags = [Tag.objects.create(name=name) for name in "abc"]
    product, other = make_product(), make_product()

    def counted() -> list[int]:
        run_due()
        return list(Tag.objects.order_by("name").values_list("product_count", flat=True))

    product.tags.add(*tags[:2])
    assert counted() == [1, 1, 0]
    tags[0].products.add(other)
    assert counted() == [2, 1, 0]
    product.tags.remove(tags[1])
    assert counted() == [2, 0, 0]
    product.tags.clear()
    assert counted() == [1, 0, 0]


def test_s08_the_tags_of_a_product_that_is_deleted_are_recounted() -> None:
    config = {"target": "tags", "values": [row("product_count", {"length": {"var": "row.products"}})]}
    rule(Product, config, signals=["pre_delete"])
    tag = Tag.objects.create(name="a", product_count=2)
    product, other = make_product(), make_product()
    product.tags.add(tag)
    other.tags.add(tag)
    product.delete()
    assert run_due() == 1
    tag.refresh_from_db()
    assert tag.product_count == 1


def test_s10_each_product_loses_what_all_items_of_the_order_took() -> None:
    taken = {
        "*": [
            -1,
            {
                "reduce": [
                    {
                        "filter": [
                            {"var": "row.order_items"},
                            {"==": [{"var": "order_id"}, {"val": [[2], "instance", "pk"]}]},
                        ]
                    },
                    {"+": [{"var": "accumulator"}, {"var": "current.quantity"}]},
                    0,
                ]
            },
        ]
    }
    rule(
        Order,
        {"target": "items.product", "values": [row("stock", taken, "increment")]},
        changes=[{"field": "status", "to": "paid"}],
    )
    pen, ink, unsold = make_product(), make_product(stock=10), make_product(stock=7)
    order, another = make_order(order_number="A1"), make_order(order_number="A2")
    for one, product, quantity in ((order, pen, 3), (order, pen, 2), (order, ink, 4), (another, pen, 50)):
        OrderItem.objects.create(order=one, product=product, quantity=quantity, unit_price=1)
    order.status = "paid"
    order.save()
    assert run_due() == 1
    stocks = dict(Product.objects.values_list("pk", "stock"))
    assert stocks == {pen.pk: 95, ink.pk: 6, unsold.pk: 7}


@pytest.mark.row_locks
def test_twenty_increments_at_once_are_all_counted() -> None:
    product = make_product(stock=0)
    config = {
        "target": "query",
        "model": "shop.product",
        "filter": [row("pk", product.pk)],
        "values": [row("stock", 1, "increment")],
    }
    rule(Patient, config)
    rule(Patient, {**config, "one_statement": True})
    for _ in range(20):
        Patient.objects.create(name="Eve")

    def work(_number: int) -> None:
        while run_due(limit=1):
            Product.objects.filter(pk=product.pk).update(name="Pencil")

    run_together(8, work)
    product.refresh_from_db()
    assert set(Execution.objects.values_list("state", flat=True)) == {"succeeded"}
    assert product.stock == 40


def test_a_retry_after_a_failure_behind_the_write_counts_once() -> None:
    product = make_product(stock=0)
    rule(Category, {"target": "products", "values": [row("stock", 1, "increment")]}, operations=["update"])
    category = Category.objects.create(name="c")
    Product.objects.update(category=category)
    category.save()
    failures = [RuntimeError("the receiver broke")]

    def receiver(**_: object) -> None:
        if failures:
            raise failures.pop()

    post_save.connect(receiver, sender=Product)
    try:
        assert run_due() == 1
        product.refresh_from_db()
        assert product.stock == 0
        Execution.objects.update(next_attempt_at="2020-01-01T00:00:00Z")
        assert run_due() == 1
    finally:
        post_save.disconnect(receiver, sender=Product)
    product.refresh_from_db()
    assert product.stock == 1
    assert Execution.objects.get().attempts == 2


def test_an_object_that_is_gone_is_said_to_be_gone() -> None:
    rule(Order, {"values": [row("status", "paid")]}, operations=["create"])
    make_order(order_number="A1").delete()
    run_due()
    assert outcome() == ("discarded", "The object is gone.")


def test_an_object_that_does_not_pass_the_filter_is_left_alone() -> None:
    rule(Order, {"filter": [row("total__gt", 100)], "values": [row("status", "paid")]}, operations=["create"])
    order = make_order(order_number="A1")
    run_due()
    assert outcome() == ("succeeded", "Nothing to update")
    order.refresh_from_db()
    assert order.status == "draft"


def test_an_object_that_has_the_values_is_not_saved_so_rules_rest() -> None:
    rule(Order, {"values": [row("status", "paid")]})
    rule(Order, {"values": [row("discount", 1)]})
    order = make_order(order_number="A1")
    assert run_due() == 4  # each for the creation, and once more for what the other one changed
    assert outcome() == ("succeeded", "Updated 0 of orders, 1 had the values already")
    order.refresh_from_db()
    assert (order.status, order.discount) == ("paid", 1)


def test_only_the_named_columns_are_written_so_a_change_meanwhile_stays() -> None:
    rule(Animal, {"values": [row("legs", 3)]}, operations=["create"])
    animal = Animal.objects.create(name="Rex")
    Animal.objects.update(name="Max", seen_at=datetime(2020, 1, 1, tzinfo=UTC))
    run_due()
    animal.refresh_from_db()
    assert (animal.name, animal.legs) == ("Max", 3)
    assert animal.seen_at.year > 2020


def test_an_empty_number_counts_from_zero() -> None:
    rule(Animal, {"values": [row("weight", "1.5", "increment")]}, operations=["create"])
    animal = Animal.objects.create(name="Rex")
    run_due()
    animal.refresh_from_db()
    assert animal.weight == Decimal("1.50")


def test_one_statement_updates_all_and_no_rule_hears_of_it() -> None:
    rule(
        Category,
        {
            "target": "products",
            "values": [row("stock", -1, "increment"), row("name", "!", "append"), row("slug", "sold")],
            "one_statement": True,
        },
        operations=["update"],
    )
    category = Category.objects.create(name="c")
    for _ in range(3):
        make_product(category=category)
    create_rule(model=Product, actions=[("write_audit_entry", {})])
    category.save()
    assert run_due() == 1
    assert outcome() == ("succeeded", "Updated 3 of products in one statement")
    assert set(Product.objects.values_list("stock", "name", "slug")) == {(99, "Lamp!", "sold")}
    assert AuditEntry.objects.count() == 0


def test_more_objects_than_the_limit_are_not_changed_at_all() -> None:
    rule(Category, {"target": "products", "values": [row("stock", 0)], "limit": 2}, operations=["update"])
    category = Category.objects.create(name="c")
    for _ in range(3):
        make_product(category=category)
    category.save()
    run_due()
    assert outcome() == ("discarded", "More than 2 objects would be changed, which is this action's limit.")
    assert set(Product.objects.values_list("stock", flat=True)) == {100}


def test_a_row_with_more_related_rows_than_are_read_is_not_summed_up(settings: LazySettings) -> None:
    settings.RULES_ENGINE = {"ROWS_LIMIT": 2}
    rule(OrderItem, TOTALS)
    order, pen = make_order(order_number="A1"), make_product()
    for _ in range(3):
        OrderItem.objects.create(order=order, product=pen, unit_price=1)
    run_due()
    assert outcome() == (
        "discarded",
        f"Order {order.pk} has more than 2 related rows, which is how many are read (ROWS_LIMIT in RULES_ENGINE).",
    )


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("status", "paid", ["b"]),
        ("status__in", "draft, paid", ["a", "b"]),
        ("status__in", {"merge": ["paid", "pending"]}, ["b", "c"]),
        ("total__lt", {"var": "instance.total"}, ["a", "b"]),
        ("total__gte", "20", ["b", "c"]),
        ("order_number__icontains", "B", ["b"]),
        ("order_number__startswith", "a", ["a"]),
        ("customer__isnull", "true", ["b", "c"]),
        ("customer__isnull", False, ["a"]),
        ("customer", None, []),
        ("customer__username", "ada", ["a"]),
        ("items__quantity__gt", 1, ["c"]),
        ("items__product__name", "Lamp", ["c"]),
        ("pk__in", "", []),
        ("status_changed_at__lte", "2026-01-31T12:00:00Z", ["b"]),
    ],
)
def test_filters_choose_the_rows(name: str, value: Any, found: list[str]) -> None:
    ada = User.objects.create(username="ada")
    Order.objects.create(order_number="a", total=10, customer=ada)
    Order.objects.create(order_number="b", total=20, status="paid", status_changed_at=datetime(2026, 1, 1, tzinfo=UTC))
    last = Order.objects.create(order_number="c", total=30, status="pending")
    for _ in range(2):
        OrderItem.objects.create(order=last, product=make_product(), quantity=2, unit_price=1)
    config = {"target": "query", "model": "shop.order", "filter": [row(name, value)], "values": [row("discount", 1)]}
    rule(Order, config)
    last.save()
    run_due(limit=1)
    assert outcome()[0] != "discarded", outcome()
    assert list(Order.objects.filter(discount=1).order_by("pk").values_list("order_number", flat=True)) == found


def test_a_filter_value_of_the_wrong_type_is_discarded_and_not_quoted() -> None:
    config = {"target": "query", "model": "shop.order", "filter": [row("total__lt", "canary")], "values": []}
    rule(Order, config)
    make_order(order_number="A1")
    run_due()
    assert outcome() == ("discarded", 'The filter "total__lt" cannot take the value that it was given.')


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [("status", "canary", "invalid_choice"), ("total", "canary", "invalid"), ("order_number", "A2", "unique")],
)
def test_a_value_the_field_does_not_take_is_discarded_with_its_name(name: str, value: str, code: str) -> None:
    make_order(order_number="A2")
    rule(Order, {"values": [row(name, value)]})
    order = make_order(order_number="A1")
    run_due()
    assert outcome() == ("discarded", f"Order cannot be saved: {name} ({code}).")
    order.refresh_from_db()
    assert (order.status, order.order_number) == ("draft", "A1")


def test_a_count_does_not_fall_below_what_its_field_holds() -> None:
    rule(Tag, {"values": [row("product_count", -1, "increment")]})
    Tag.objects.create(name="a")
    run_due()
    assert outcome() == ("discarded", "Tag cannot be saved: product_count (min_value).")


REFUSED = [
    ({"target": "customer", "values": [{"field": "is_doctor", "value": "true"}]}, "/target"),
    ({"target": "query", "model": "accounts.user", "filter": [{"field": "pk", "value": 1}]}, "/model"),
    ({"target": "query", "model": "auth.group", "filter": [{"field": "pk", "value": 1}]}, "/model"),
    ({"target": "query", "model": "sessions.session", "filter": [{"field": "pk", "value": 1}]}, "/model"),
    ({"target": "query", "model": "rules_engine.rule", "filter": [{"field": "pk", "value": 1}]}, "/model"),
    ({"target": "query", "model": "webhooks.endpoint", "filter": [{"field": "pk", "value": 1}]}, "/model"),
    (
        {
            "target": "query",
            "model": "zoo.keeper",
            "filter": [{"field": "pk", "value": 1}],
            "values": [{"field": "api_token", "value": "x"}],
        },
        "/values/0/field",
    ),
    ({"values": [{"field": "id", "value": 1}]}, "/values/0/field"),
]


@pytest.mark.parametrize(("config", "pointer"), REFUSED)
def test_what_rules_may_not_write_is_refused_when_saved_and_when_run(config: Mapping[str, Any], pointer: str) -> None:
    assert pointer in [problem.pointer for problem in problems_of(config)]
    action = registry.find(KIND)
    assert action is not None

    class Unchecked(TestContract):
        rule = RuleSpec(slug="r", model="shop.order", signals=("post_save",))

    with pytest.raises(Refused):
        action.run(Unchecked()._context(), config)


def test_a_secret_cannot_be_found_out_by_filtering_for_it() -> None:
    for model, name in (("zoo.keeper", "api_token__startswith"), ("shop.order", "customer__password__startswith")):
        config = {"target": "query", "model": model, "filter": [row(name, "p")], "values": []}
        assert [problem.pointer for problem in problems_of(config)] == ["/filter/0/field"]
        action = registry.find(KIND)
        assert action is not None
        with pytest.raises(PermanentError):
            action.run(TestContract()._context(), config)


def test_a_secret_of_the_row_cannot_be_read() -> None:
    values = [row("order_number", "{{ row.customer.password }}"), row("status", {"var": "row.customer.is_staff"})]
    found = problems_of({"values": values})
    assert [problem.pointer for problem in found] == ["/values/0/value", "/values/1/value"]


@pytest.mark.parametrize(
    ("config", "pointer", "message"),
    [
        ({"target": "itms"}, "/target", 'Did you mean "items"?'),
        ({"target": "items.prodct"}, "/target", 'Did you mean "product"?'),
        ({"target": "instnce"}, "/target", 'Did you mean "instance"?'),
        ({"target": "query"}, "/model", "Name the model"),
        ({"target": "query", "model": "shop.prduct"}, "/model", 'Did you mean "shop.product"?'),
        ({"target": "query", "model": "shop.product"}, "/filter", "Say which rows"),
        ({"model": "shop.product"}, "/model", 'for the target "query" alone'),
        ({"values": [row("totl", 1)]}, "/values/0/field", 'Did you mean "total"?'),
        ({"values": [row("status", "{{ row.totl }}")]}, "/values/0/value", 'Did you mean "total"?'),
        ({"values": [row("status", {"var": "instance.totl"})]}, "/values/0/value", 'Did you mean "total"?'),
        ({"values": [row("status", "x", "incremnt")]}, "/values/0/how", 'Did you mean "increment"?'),
        ({"values": [row("status", "x", "increment")]}, "/values/0/how", "is no number"),
        ({"values": [row("total", "x", "append")]}, "/values/0/how", "is no text"),
        ({"filter": [row("total__ltt", 1)]}, "/filter/0/field", 'Did you mean "lt"?'),
        ({"filter": [row("totl__lt", 1)]}, "/filter/0/field", 'Did you mean "total"?'),
        ({"filter": [row("customer__icontains", "a")]}, "/filter/0/field", "cannot be looked up"),
        ({"filter": [row("total", "{{ row.total }}")]}, "/filter/0/value", '"row" is not known here'),
        ({"filter": [{"field": "total", "valu": 1}]}, "/filter/0/valu", 'Did you mean "value"?'),
        ({"values": [row("total", {"var": "row.total"})], "one_statement": True}, "/values/0/value", "increment"),
        ({"one_statement": True}, "/one_statement", "needs a value"),
        ({"limit": 10_001}, "/limit", "from 1 to 10,000"),
    ],
)
def test_mistakes_are_said_at_their_place(config: Mapping[str, Any], pointer: str, message: str) -> None:
    (problem,) = problems_of(config)
    assert problem.pointer == pointer
    assert message in problem.message


def test_the_object_of_a_delete_cannot_be_updated() -> None:
    (problem,) = problems_of({"values": [row("total", 1)]}, signals=["post_delete"])
    assert problem.pointer == "/target"


def test_the_author_needs_to_change_what_is_written_and_view_what_is_read() -> None:
    author = User.objects.create_user("ada")
    author.user_permissions.set(Permission.objects.filter(codename="view_orderitem"))
    rule(OrderItem, TOTALS, author=author)
    order, pen = make_order(order_number="A1"), make_product()
    OrderItem.objects.create(order=order, product=pen, unit_price=1)
    run_due()
    assert Execution.objects.get().state == "refused"
    assert "shop.change_order, shop.view_order" in Execution.objects.get().error
    author.user_permissions.add(*Permission.objects.filter(codename__in=["change_order", "view_order"]))
    OrderItem.objects.create(order=order, product=pen, unit_price=1)
    run_due()
    order.refresh_from_db()
    assert order.subtotal == 2


def test_looking_in_another_model_takes_its_view_permission() -> None:
    action = registry.find(KIND)
    assert action is not None
    config = {"target": "query", "model": "shop.order", "filter": [row("items__product__name", "x")], "values": []}
    spec = RuleSpec(slug="r", model="clinic.patient", signals=("post_save",))
    assert set(action.permissions(config, spec)) == {
        "shop.change_order",
        "shop.view_order",
        "shop.view_orderitem",
        "shop.view_product",
    }
