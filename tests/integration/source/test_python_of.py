"""X02: rules as Python receivers, read, compiled, and run beside the rules that they were written from."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from django.dispatch import Signal
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pyflakes.api import check
from pyflakes.reporter import Reporter

from project.accounts.models import User
from project.clinic.models import Appointment, Doctor, Patient
from project.clinic.signals import appointment_cancelled
from project.shop.models import Category, Order, OrderItem, Product, StatusHistory, Tag
from rules_engine.conditions import instance, logic, old
from rules_engine.context.signals import MODEL_SIGNALS
from rules_engine.logic import jsonlogic
from rules_engine.logic.evaluator import operators
from rules_engine.models import Rule
from rules_engine.source.module import python_of
from rules_engine.testing import create_rule, run_due
from rules_engine.types import ActionSpec, RuleSpec
from tests.examples import examples
from tests.factories import make_endpoint

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parents[3]
PACKS = [*sorted((ROOT / "fixtures").glob("*.json")), ROOT / "project" / "demo" / "fixtures" / "demo.json"]
HOSTILE = 'a"b\'c\\d{e}}f"""g\nh#i\x00j\u202ek{{\u2028l%m'


def specs_of(pack: Path) -> list[RuleSpec]:
    found: dict[str, tuple[dict[str, Any], list[ActionSpec]]] = {}
    for entry in json.loads(pack.read_text(encoding="utf-8")):
        fields = dict(entry["fields"])
        if entry["model"] == "rules_engine.rule":
            plain = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
            found[fields["slug"]] = (plain, [])
        else:
            found[fields.pop("rule")[0]][1].append(ActionSpec(**fields))
    return [RuleSpec(**fields, actions=tuple(actions)) for fields, actions in found.values()]


def names_no_stranger(text: str) -> str:
    """What pyflakes says of undefined, unused and redefined names in the text, and of its syntax."""
    said = StringIO()
    check(text, "rules.py", Reporter(said, said))
    return said.getvalue()


@contextmanager
def adopted(*rules: Rule) -> Iterator[dict[str, Any]]:
    """The printed module in use, its rules off."""
    text = python_of([rule.spec() for rule in rules])
    for rule in rules:
        rule.enabled = False
        rule.save()
    module: dict[str, Any] = {"__name__": "adopted"}
    sent = [value for value in _all_signals() if isinstance(value, Signal)]
    before = [(signal, list(signal.receivers)) for signal in sent]
    try:
        exec(compile(text, "adopted", "exec"), module)
        yield module
    finally:
        for signal, receivers in before:
            signal.receivers = receivers
            signal.sender_receivers_cache.clear()


def _all_signals() -> list[Any]:
    from django.contrib.auth import signals as auth
    from django.db.models import signals as models

    return [*vars(models).values(), *vars(auth).values(), appointment_cancelled]


@pytest.mark.parametrize("pack", PACKS, ids=lambda path: path.stem)
def test_x02_every_rule_of_every_pack_is_a_module_that_compiles(pack: Path) -> None:
    make_endpoint("demo")
    rules = specs_of(pack)
    assert rules
    for chosen in [*([rule] for rule in rules), rules]:
        text = python_of(chosen)
        compile(text, pack.name, "exec")
        assert names_no_stranger(text) == ""
        assert "cannot be written" not in text
        for rule in chosen:
            is_heard = f'dispatch_uid="{rule.slug}"' in text or f'dispatch_uid="{rule.slug}.' in text
            assert is_heard or (rule.schedule and "It acts by the clock" in text)


def test_x02_what_a_developer_would_write_is_what_is_printed() -> None:
    rule = create_rule(
        Order,
        changes=[{"field": "status", "from": "draft", "to": "paid"}],
        condition=logic((instance.total > 100) & (instance.customer.email != "") & (old.total < 500)),
        actions=[("log_message", {"message": "Order {{ instance.order_number }} of {{ instance.customer.email }}"})],
        slug="paid",
        name="A paid order",
    )
    text = python_of([rule.spec()])
    for line in (
        "from project.shop.models import Order",
        '@receiver(post_save, sender=Order, dispatch_uid="paid")',
        "def paid(sender, instance, created, **kwargs):",
        '    """A paid order"""',
        '    if kwargs.get("raw"):',
        '    if "status" not in changes:',
        '    if changes["status"]["old"] != "draft":',
        "    if instance.total <= 100:",
        "    transaction.on_commit(then_log_message, robust=True)",
    ):
        assert f"\n{line}\n" in text


def test_a_rule_that_hears_loaded_data_is_written_as_one_that_does() -> None:
    changes = [{"field": "status"}]
    for hears, raw in ((True, 0), (False, 2)):
        rule = create_rule(Order, changes=changes, actions=[("log_message", {"message": "It changed."})], raw=hears)
        text = python_of([rule.spec()])
        compile(text, "loaded", "exec")
        assert text.count('kwargs.get("raw")') == raw


def test_x02_a_rule_that_cannot_run_is_a_comment_that_says_why() -> None:
    text = python_of([RuleSpec(slug="broken", model="shop.ordr", signals=("post_save",))])
    compile(text, "broken", "exec")
    assert '# - /model: There is no model "shop.ordr". Did you mean "shop.order"?' in text
    assert "@receiver" not in text


def test_x02_adopted_c06_deletes_the_same_keys_on_save_and_delete() -> None:
    keys = ["doctor_{{ instance.pk }}", "doctor_list"]
    rule = create_rule(Doctor, ["post_save", "post_delete"], actions=[("delete_cache_keys", {"keys": keys})])
    with adopted(rule):
        doctor = Doctor.objects.create(first_name="Mei", last_name="Tanaka")
        key = f"doctor_{doctor.pk}"
        for change in (doctor.save, doctor.delete):
            cache.set_many({key: 1, "doctor_list": 1, "other": 1})
            change()
            assert cache.get_many([key, "doctor_list", "other"]) == {"other": 1}
    assert run_due() == 0


def test_x02_adopted_c08_sets_the_same_fields() -> None:
    (spec,) = (one for one in specs_of(ROOT / "fixtures" / "clinic.json") if one.slug == "c08-doctor-fields")
    config = spec.actions[0].config
    rule = create_rule(Doctor, ["pre_save"], actions=[("set_fields", config)])

    def outcome() -> list[str]:
        doctor = Doctor.objects.create(first_name="Änne", last_name="O'Neil", email=" A@B.Example ")
        kept = Doctor.objects.create(first_name="A", last_name="B", slug="kept", biography="Mine.")
        found = [value for one in (doctor, kept) for value in (one.email, one.slug, one.biography)]
        Doctor.objects.all().delete()
        return found

    by_rule = outcome()
    with adopted(rule):
        assert outcome() == by_rule
    assert by_rule[:2] == ["a@b.example", "anne-oneil"]


def test_x02_adopted_s05_keeps_the_history_of_changes_alone() -> None:
    values = [
        {"field": "order", "value": "{{ instance.pk }}"},
        {"field": "from_status", "value": "{{ changes.status.old }}"},
        {"field": "to_status", "value": "{{ changes.status.new }}"},
    ]
    config = {"model": "shop.statushistory", "values": values}
    touch = {"values": [{"field": "status_changed_at", "value": "{{ event.occurred_at }}"}]}
    rule = create_rule(
        Order,
        operations=["update"],
        changes=[{"field": "status"}],
        actions=[("create_object", config), ("update_objects", touch)],
        slug="s05",
    )
    with adopted(rule):
        order = Order.objects.create(order_number="A-1")
        order.save()
        order.status = "paid"
        order.save()
        order.total = 5
        order.save(update_fields=["total"])
    assert list(StatusHistory.objects.values_list("order_id", "from_status", "to_status")) == [
        (order.pk, "draft", "paid")
    ]
    order.refresh_from_db()
    assert order.status_changed_at is not None
    assert run_due() == 0


def test_x02_adopted_s10_decreases_the_stock_in_the_database() -> None:
    config = {
        "target": "product",
        "values": [{"field": "stock", "how": "increment", "value": {"-": [{"var": "instance.quantity"}]}}],
    }
    rule = create_rule(OrderItem, operations=["create"], actions=[("update_objects", config)])
    product = Product.objects.create(name="Pen", price=1, stock=10)
    order = Order.objects.create(order_number="A-1")
    with adopted(rule):
        OrderItem.objects.create(order=order, product=product, quantity=3, unit_price=1)
        OrderItem.objects.create(order=order, product=product, quantity=4, unit_price=1)
    product.refresh_from_db()
    assert product.stock == 3


def test_x02_adopted_mail_and_log_say_the_same_whatever_the_data_holds(caplog: pytest.LogCaptureFixture) -> None:
    body = (
        'Dear {{ instance.patient.name }},\n{{ instance.date }} {{ instance.time|time:"H:i" }}\n'
        '{% if instance.notes %}{{ instance.notes }}{% endif %} }}{ \\ """ \''
    )
    subject = 'On {{ instance.date|date:"j F Y" }}'
    message = 'Made "{{ instance.patient.name }}" {braces} {{ instance.doctor.user.email|default:"nobody" }}'
    rule = create_rule(
        Appointment,
        operations=["create"],
        actions=[
            ("send_email", {"to": ["{{ instance.patient.email }}", "x@example.com"], "subject": subject, "body": body}),
            ("log_message", {"message": message}),
        ],
    )

    def outcome() -> list[Any]:
        mail.outbox.clear()
        caplog.clear()
        doctor = Doctor.objects.create(first_name="A", last_name="B")
        patient = Patient.objects.create(name='Ann <b> {{ x }} "q"', email="ann@example.com")
        with caplog.at_level(logging.INFO, "rules_engine.messages"):
            Appointment.objects.create(
                doctor=doctor, patient=patient, date="2026-01-31", time="09:30", notes="n & {% m %}"
            )
            run_due()
        said = [record.getMessage() for record in caplog.records if record.name == "rules_engine.messages"]
        return [sorted((one.to, one.subject, one.body) for one in mail.outbox), said]

    by_rule = outcome()
    assert len(by_rule[0]) == 2
    with adopted(rule):
        # A date that was assigned as a text is a text until it is read again.
        Appointment.objects.all().delete()
        as_python = outcome()
    assert as_python[1] == by_rule[1]
    assert [one[0] for one in as_python[0]] == [one[0] for one in by_rule[0]]


def test_x02_adopted_loops_over_rows_do_as_the_rule_does() -> None:
    condition = {
        "and": [
            {"some": [{"var": "instance.items"}, {">": [{"var": "quantity"}, 2]}]},
            {
                ">": [
                    {
                        "reduce": [
                            {"var": "instance.items"},
                            {"+": [{"var": "accumulator"}, {"var": "current.unit_price"}]},
                            0,
                        ]
                    },
                    5,
                ]
            },
        ]
    }
    text = "{% for item in instance.items %}{{ item.quantity }},{% endfor %}{{ instance.items|length }}"
    rule = create_rule(
        Order,
        condition=condition,
        actions=[
            (
                "create_object",
                {
                    "model": "shop.category",
                    "values": [{"field": "name", "value": text}],
                },
            )
        ],
    )
    product = Product.objects.create(name="Pen", price=1)
    with adopted(rule):
        for number, (quantity, price) in enumerate([(1, 9), (3, 1), (3, 9)]):
            order = Order.objects.create(order_number=str(number))
            OrderItem.objects.create(order=order, product=product, quantity=quantity, unit_price=price)
            order.save()
    assert list(Category.objects.values_list("name", flat=True)) == ["3,1"]


def test_x02_many_to_many_changes_and_signals_of_the_site_are_heard() -> None:
    count = {
        "target": "query",
        "model": "shop.tag",
        "filter": [{"field": "name", "value": "new"}],
        "values": [{"field": "product_count", "value": "1", "how": "increment"}],
    }
    tagged = create_rule(Product, ["m2m_changed"], ["add"], actions=[("update_objects", count)], slug="tagged")
    made = {"model": "shop.category", "values": [{"field": "name", "value": "{{ signal.reason }}"}]}
    paid = create_rule(signals=["clinic.appointment_cancelled"], actions=[("create_object", made)], slug="paid-signal")
    tag, product = Tag.objects.create(name="new"), Product.objects.create(name="Pen", price=1)
    with adopted(tagged, paid):
        product.tags.add(tag)
        product.tags.clear()
        appointment_cancelled.send(Order, reason="Because")
    tag.refresh_from_db()
    assert tag.product_count == 1
    assert Category.objects.get().name == "Because"


def test_x02_adopted_s08_hears_tags_and_knows_a_deleted_products() -> None:
    values = [{"field": "product_count", "value": "{{ row.products__count }}"}]
    changed = create_rule(Tag, signals=["m2m_changed"], actions=[("update_objects", {"values": values})])
    deleted = create_rule(
        Product, signals=["pre_delete"], actions=[("update_objects", {"target": "tags", "values": values})]
    )
    new, sale, other = (Tag.objects.create(name=name, product_count=9) for name in ("new", "sale", "other"))
    lamp, chair = (Product.objects.create(name=name, price=1) for name in ("Lamp", "Chair"))
    lamp.tags.add(new, sale)
    chair.tags.add(new)
    with adopted(changed, deleted):
        other.products.add(lamp, chair)
        assert Tag.objects.get(name="other").product_count == 2
        lamp.delete()
    assert list(Tag.objects.order_by("name").values_list("name", "product_count")) == [
        ("new", 1),
        ("other", 1),
        ("sale", 0),
    ]


def test_x02_adopted_s03_sums_up_what_the_rows_come_to() -> None:
    shipped = {"+": [{"var": "row.items__quantity__times__unit_price__sum"}, {"var": "row.shipping_cost"}]}
    values = [
        {"field": "subtotal", "value": "{{ row.items__quantity__times__unit_price__sum }}"},
        {"field": "total", "value": shipped},
        {"field": "discount", "value": "{{ row.items__unit_price__min }}"},
    ]
    rule = create_rule(
        OrderItem, ["post_save", "post_delete"], actions=[("update_objects", {"target": "order", "values": values})]
    )
    product = Product.objects.create(name="Pen", price=1)
    order = Order.objects.create(order_number="A-1", shipping_cost=5)
    with adopted(rule):
        OrderItem.objects.create(order=order, product=product, quantity=3, unit_price=Decimal("0.35"))
        last = OrderItem.objects.create(order=order, product=product, quantity=2, unit_price=Decimal("0.10"))
        order.refresh_from_db()
        assert (order.subtotal, order.total, order.discount) == (
            Decimal("1.25"),
            Decimal("6.25"),
            Decimal("0.10"),
        )
        last.delete()
    order.refresh_from_db()
    assert (order.subtotal, order.total) == (Decimal("1.05"), Decimal("6.05"))


def test_x02_adopted_s10_goes_through_the_rows_of_an_action_for_each() -> None:
    config = {
        "target": "query",
        "model": "shop.product",
        "filter": [{"field": "pk", "value": "{{ each.product_id }}"}],
        "values": [{"field": "stock", "value": {"-": [{"var": "each.quantity"}]}, "how": "increment"}],
    }
    later = {"delay": 3, "at": "18:00", "zone": "UTC", "asks_again": True}
    rule = create_rule(
        Order,
        operations=["update"],
        once=True,
        actions=[("update_objects", config, {**later, "for_each": "instance.items", "on_failure": "stop"})],
    )
    pen, ink = (Product.objects.create(name=name, price=1, stock=10) for name in ("Pen", "Ink"))
    order = Order.objects.create(order_number="A-1")
    for product, quantity in ((pen, 3), (ink, 1), (pen, 4)):
        OrderItem.objects.create(order=order, product=product, quantity=quantity, unit_price=1)
    text = python_of([rule.spec()])
    for said in (
        "acts once for each object;",
        "waits for 3 seconds;",
        "waits until 18:00 in UTC;",
        "still holds then;",
        "what comes after it is not done;",
    ):
        assert said in " ".join(text.replace("\n# ", " ").split())
    with adopted(rule):
        order.save()
    assert list(Product.objects.order_by("pk").values_list("stock", flat=True)) == [3, 9]


def test_x02_an_action_may_print_itself_and_a_webhook_names_its_endpoint() -> None:
    make_endpoint("ours")
    rule = create_rule(Order, actions=[("webhook", {"endpoint": "ours"})])
    text = python_of([rule.spec()])
    compile(text, "webhook", "exec")
    assert "call_endpoint('ours', None)" in text
    assert "Webhooks > Endpoints" in text
    assert names_no_stranger(text) == ""


PATHS = [
    "order_number",
    "total",
    "status",
    "discount",
    "status_changed_at",
    "customer.email",
    "customer_id",
    "items",
    "pk",
]
OPERANDS = st.one_of(
    st.sampled_from([{"var": f"instance.{path}"} for path in PATHS]),
    st.sampled_from([{"var": "old.status"}, {"var": "changed"}, {"var": "created"}, {"var": "actor.username"}]),
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(-5, 5),
    st.text(max_size=8),
    st.just(HOSTILE.replace("\x00", "")),
)


def _deeper(inner: Any) -> Any:
    two = st.lists(inner, min_size=2, max_size=2)
    pairs = [
        "==",
        "!=",
        "===",
        "!==",
        "<",
        ">=",
        "+",
        "-",
        "*",
        "/",
        "%",
        "in",
        "max",
        "cat",
        "starts_with",
        "??",
        "and",
        "or",
    ]
    loops = ["some", "all", "none", "filter", "map"]
    row = st.sampled_from(
        [{">": [{"var": "quantity"}, 1]}, {"==": [{"var": "product_id"}, {"val": [[2], "instance", "pk"]}]}]
    )
    return st.one_of(
        st.builds(lambda name, pair: {name: pair}, st.sampled_from(pairs), two),
        st.builds(
            lambda name, one: {name: [one]},
            st.sampled_from(["!", "!!", "lower", "trim", "length", "abs", "throw"]),
            inner,
        ),
        st.builds(lambda parts: {"if": parts}, st.lists(inner, min_size=3, max_size=5)),
        st.builds(lambda name, body: {name: [{"var": "instance.items"}, body]}, st.sampled_from(loops), row),
    )


@hypothesis_settings(max_examples=examples(150), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    condition=st.recursive(OPERANDS, _deeper, max_leaves=8),
    text=st.text(max_size=12)
    | st.just(HOSTILE)
    | st.just("{{ instance.total }}{{ instance.customer.email|upper }}" + HOSTILE),
    changes=st.sampled_from([(), ({"field": "status"},), ({"field": "total", "to": 5},)]),
    signals=st.lists(
        st.sampled_from([*MODEL_SIGNALS, "user_logged_in", "shop.order_paid"]), min_size=1, max_size=3, unique=True
    ).map(tuple),
)
def test_x02_whatever_a_rule_holds_the_module_compiles(
    condition: Any, text: str, changes: tuple[Mapping[str, Any], ...], signals: tuple[str, ...]
) -> None:
    rule = RuleSpec(
        slug="generated",
        name=text,
        description=text,
        model="shop.order",
        signals=signals,
        changes=changes,
        condition=condition,
        actions=(
            ActionSpec("log_message", {"message": text, "fields": [{"name": text, "value": text}]}),
            ActionSpec("send_email", {"to": ["a@example.com"], "subject": text, "body": text, "html": text}),
        ),
    )
    written = python_of([rule])
    compile(written, "generated", "exec")


@pytest.mark.parametrize("operator", sorted(set(operators()) - {"throw"}))
@pytest.mark.parametrize("count", range(5))
def test_x02_operators_of_any_number_of_arguments_compile(operator: str, count: int) -> None:
    # Rules that were stored before there was a check of it.
    values = [{"var": "instance.status"}, [], "x", 1][:count]
    condition = {"==": [{"var": "instance.total"}, {operator: values}]}
    action = ActionSpec("log_message", {"message": "x", "fields": [{"name": "a", "value": condition}]})
    rule = RuleSpec(
        slug="r", name="r", model="shop.order", signals=("post_save",), condition=condition, actions=(action,)
    )
    compile(python_of([rule]), "stored", "exec")


LOGIC = [
    {"==": [{"var": "instance.total"}, 5]},
    {"==": [{"var": "instance.total"}, "5"]},
    {"==": [{"var": "instance.discount"}, None]},
    {"==": [{"var": "instance.total"}, 2.5]},
    {">": [{"var": "instance.total"}, 2.4]},
    {"<": [1, {"var": "instance.total"}, 5]},
    {"==": [{"var": "instance.customer.email"}, ""]},
    {"==": [{"var": "instance.customer.email"}, None]},
    {"===": [{"var": "instance.customer.email"}, None]},
    {"and": [{"!==": [0, None]}, {"!==": [None, "x"]}, {"===": [None, None]}, {"var": "instance.total"}]},
    {"!": [{"var": "instance.customer.email"}]},
    {"in": [{"var": "instance.status"}, ["draft", "paid"]]},
    {"in": ["raf", {"var": "instance.status"}]},
    {"in": [{"var": "instance.total"}, [5, "x"]]},
    {"<": [{"var": "instance.customer_id"}, 5]},
    {"!=": [{"var": "instance.status"}, "paid"]},
    {">=": [{"var": "instance.status"}, "e"]},
    {"if": [{"==": [{"var": "instance.status"}, "paid"]}, {"<": [{"var": "instance.total"}, 3]}, True]},
    {"==": [{"%": [{"var": "instance.total"}, 2]}, 1]},
    {"==": [{"+": [{"var": "instance.total"}, {"??": [{"var": "instance.customer_id"}, 1]}]}, 6]},
    {"==": [{"max": [{"var": "instance.total"}, 3]}, 3]},
    {
        "==": [
            {
                "cat": [
                    {"var": "instance.order_number"},
                    "-",
                    {"var": "instance.total"},
                    {"var": "instance.customer_id"},
                ]
            },
            "A-5",
        ]
    },
    {"starts_with": [{"upper": {"var": "instance.status"}}, "PA"]},
    {"==": [{"substr": [{"var": "instance.status"}, -2, 1]}, "i"]},
    {"all": [{"var": "instance.items"}, {">": [{"var": "quantity"}, 1]}]},
    {"none": [{"var": "instance.items"}, {">": [{"var": "quantity"}, 1]}]},
    {">": [{"length": {"var": "instance.items"}}, 0]},
    {"==": [{"var": "created"}, True]},
    {
        "and": [
            {"!!": [{"var": "instance.status"}]},
            {"or": [{"==": [{"var": "instance.total"}, 5]}, {"var": "created"}]},
        ]
    },
]


@pytest.mark.parametrize("condition", LOGIC, ids=[json.dumps(one)[:70] for one in LOGIC])
def test_x02_conditions_in_python_say_what_jsonlogic_says(condition: Any) -> None:
    assert jsonlogic.check(condition) == []
    made = {
        "model": "shop.category",
        "values": [{"field": "name", "value": "{{ instance.order_number }} {{ event.id }}"}],
    }
    rule = create_rule(Order, condition=condition, actions=[("create_object", made)])

    def fired() -> list[str]:
        for number, (total, status, email) in enumerate(
            [(Decimal(5), "draft", ""), (Decimal("2.50"), "paid", "a@b.c"), (Decimal(0), "shipped", None)]
        ):
            customer = None if email is None else User.objects.create(username=f"u{number}", email=email)
            order = Order.objects.create(order_number="A" * (number + 1), status=status, customer=customer)
            order.total = total
            order.refresh_from_db(fields=["discount"])
            order.save()
            order = Order.objects.get(pk=order.pk)
            product = Product.objects.create(name="Pen", price=1)
            OrderItem.objects.create(order=order, product=product, quantity=number + 1, unit_price=1)
            order.save()
        run_due()
        found = sorted(name.split()[0] for name in Category.objects.values_list("name", flat=True))
        for model in (Category, OrderItem, Order, Product, User):
            model.objects.all().delete()
        return found

    by_rule = fired()
    with adopted(rule):
        by_python = fired()
    assert by_python == by_rule
