"""S04: a slug that no other row has, with a counter where it is taken."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import Model
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from project.shop.models import Product
from rules_engine.models import Execution, Reservation
from rules_engine.rules.validation import rule_problems
from rules_engine.testing import create_rule
from rules_engine.types import ActionSpec, RuleSpec
from tests.zoo.models import Animal, Dog, GuardDog, Plaque

pytestmark = pytest.mark.django_db(transaction=True)


def unique(model: type[Model] = Product, field: str = "slug", source: str = "name", **options: Any) -> None:
    """A rule that makes a field of another one, slugified and unique."""
    row = {"field": field, "value": f"{{{{ instance.{source}|slugify }}}}", "unique": True, **options}
    create_rule(model=model, signals=["pre_save"], actions=[("set_fields", {"fields": [row]})])


def make(name: str = "Oak Chair", **fields: Any) -> Product:
    return Product.objects.create(**{"name": name, "price": 1, **fields})


def forget_reservations() -> None:
    """As if all that was reserved had been reserved long ago."""
    Reservation.objects.update(held_until=timezone.now() - timedelta(seconds=1))


def slugs() -> list[str]:
    return list(Product.objects.order_by("pk").values_list("slug", flat=True))


def test_s04_products_of_one_name_get_slugs_with_counters() -> None:
    unique()
    for _ in range(3):
        make()
    with transaction.atomic():
        make()
        make()
    make("Oak Table")
    assert slugs() == ["oak-chair", "oak-chair-2", "oak-chair-3", "oak-chair-4", "oak-chair-5", "oak-table"]
    assert set(Execution.objects.values_list("state", "summary")) == {("succeeded", "Set slug")}


def test_saving_again_changes_nothing() -> None:
    unique()
    first, second = make(), make()
    for product in (first, second, Product.objects.get(pk=second.pk)):
        product.stock += 1
        product.save()
        with transaction.atomic():
            product.save()
    first.delete()
    second.save()
    Product.objects.get(pk=second.pk).save()
    assert slugs() == ["oak-chair-2"], "it keeps what links may point to, whatever has become free"


def test_an_object_keeps_its_own_when_the_caller_has_emptied_it() -> None:
    unique()
    make()
    second = make()
    second.slug = ""
    second.save()
    assert slugs() == ["oak-chair", "oak-chair-2"]


def test_an_object_that_shares_its_slug_gets_another_at_its_next_save() -> None:
    first, second = make(slug="oak-chair"), make(slug="oak-chair")
    unique()
    second.save()
    first.save()
    assert slugs() == ["oak-chair", "oak-chair-2"]


def test_another_name_gives_another_slug() -> None:
    unique()
    make("Oak Table")
    product = make()
    product.name = "Oak Table"
    product.save()
    assert slugs() == ["oak-table", "oak-table-2"]


def test_a_copy_of_an_object_gets_a_slug_of_its_own() -> None:
    unique()
    product = make()
    product.pk, product._state.adding = None, True
    product.save()
    assert slugs() == ["oak-chair", "oak-chair-2"]


def test_other_values_of_one_beginning_or_case_count_for_nothing() -> None:
    # Where the database compares without case, as MySQL and MariaDB do unless told otherwise, that one is taken.
    other_case = () if connection.vendor == "mysql" else ("Oak-Chair",)
    for slug in ("oak-chair-red", "oak-chair-3x", *other_case, "oak", "oak_chair", "oak%"):
        make(slug=slug)
    unique()
    assert make().slug == "oak-chair"


def test_a_gap_is_filled_and_a_slug_written_by_hand_is_passed_over() -> None:
    unique()
    make("a", slug="x")
    Product.objects.update(slug="oak-chair-2")
    make()
    assert make().slug == "oak-chair-3"


def test_a_slug_by_hand_is_kept_where_only_empty_ones_are_set() -> None:
    unique(only_if_empty=True)
    assert [make(slug="mine").slug, make().slug, make().slug] == ["mine", "oak-chair", "oak-chair-2"]


def test_nothing_stays_nothing() -> None:
    unique()
    assert [make("!").slug, make("?").slug] == ["", ""]
    assert not Reservation.objects.exists()


def test_a_save_that_does_not_write_the_field_looks_nothing_up() -> None:
    unique()
    product = make()
    product.name = "Oak Table"
    with CaptureQueriesContext(connection) as captured:
        product.save(update_fields=["name"])
        Product.objects.only("name").get(pk=product.pk).save()
    asked = " ".join(query["sql"] for query in captured.captured_queries)
    assert "reservation" not in asked
    assert "slug" not in asked.split("rules_engine_event")[0]
    assert (product.slug, slugs()) == ("oak-chair", ["oak-chair"])


def test_a_short_column_has_room_for_the_counter() -> None:
    unique(Plaque, source="title")
    made = [Plaque.objects.create(title="Giraffes of the north").slug for _ in range(11)]
    assert made[:3] == ["giraffes-of", "giraffes-o-2", "giraffes-o-3"]
    assert made[-1] == "giraffes-11"
    assert len(set(made)) == 11
    assert max(map(len, made)) <= 12
    again = Plaque.objects.get(slug=made[-1])
    again.save()
    assert again.slug == made[-1]


def test_an_inherited_field_is_unique_among_all_who_have_it() -> None:
    unique(Dog, "name", "breed")
    Animal.objects.create(name="husky")
    dogs = [Dog.objects.create(breed="Husky"), GuardDog.objects.create(breed="Husky")]
    assert [dog.name for dog in dogs] == ["husky-2", "husky-3"]
    dogs[0].save()
    assert Dog.objects.get(pk=dogs[0].pk).name == "husky-2"


def test_when_a_thousand_are_taken_chance_decides() -> None:
    taken = ["oak-chair", *(f"oak-chair-{n}" for n in range(2, 1001))]
    Product.objects.bulk_create(Product(name="x", price=1, slug=slug) for slug in taken[:-1])
    unique()
    assert make().slug == "oak-chair-1000"
    made = make().slug
    assert made.startswith("oak-chair-")
    assert len(made) == len("oak-chair-") + 8


def test_what_a_failed_save_had_reserved_is_free_again_after_a_while() -> None:
    unique()
    with pytest.raises(TypeError):
        make(category_id=object())
    assert Reservation.objects.count() == 1
    assert make().slug == "oak-chair-2", "for a minute it may still be on its way"
    forget_reservations()
    assert make().slug == "oak-chair"


def test_a_rolled_back_transaction_leaves_the_slug_to_others() -> None:
    unique()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        make()
        raise ZeroDivisionError
    assert make().slug == "oak-chair"


def test_what_a_transaction_made_and_deleted_is_free_at_once() -> None:
    unique()
    with transaction.atomic():
        make().delete()
        assert make().slug == "oak-chair"


@pytest.mark.parametrize("in_transaction", [True, False])
def test_without_its_table_the_callers_transaction_goes_on(in_transaction: bool) -> None:
    unique()
    rename("rules_engine_reservation", "elsewhere")
    try:
        if in_transaction:
            with transaction.atomic():
                make()
                make("Oak Table")
        else:
            make()
            make("Oak Table")
    finally:
        rename("elsewhere", "rules_engine_reservation")
    assert slugs() == ["", ""]
    assert set(Execution.objects.values_list("state", flat=True)) == {"discarded"}
    assert "taken could not be looked up" in Execution.objects.all()[0].error
    assert make().slug == "oak-chair"


def rename(table: str, to: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE {} RENAME TO {}".format(*map(connection.ops.quote_name, (table, to))))


def test_reservations_are_forgotten_a_day_after_they_ended() -> None:
    unique()
    make()
    make("Oak Table")
    old = Reservation.objects.all()[:1].get()
    Reservation.objects.filter(pk=old.pk).update(held_until=timezone.now() - timedelta(days=1, seconds=5))
    call_command("rules_prune", verbosity=0)
    assert Reservation.objects.count() == 1
    assert not Reservation.objects.filter(pk=old.pk).exists()


@pytest.mark.parametrize(
    ("model", "row", "pointer", "fragment"),
    [
        ("shop.product", {"field": "slug", "unique": "yes"}, "unique", "Expected true or false, and got 'yes'."),
        ("shop.product", {"field": "stock", "unique": True}, "unique", "fields of text"),
        ("shop.product", {"field": "category", "unique": True}, "unique", "fields of text"),
        ("clinic.doctor", {"field": "email", "unique": True}, "unique", "addresses of mail"),
        ("zoo.plaque", {"field": "code", "unique": True}, "unique", "no room for a counter: it holds 5"),
        ("zoo.plaque", {"field": "size", "unique": True}, "unique", "chosen from a list"),
        ("shop.product", {"field": "slgu", "unique": True}, "field", 'Did you mean "slug"?'),
    ],
)
def test_fields_that_can_have_no_counter_are_refused(model: str, row: Any, pointer: str, fragment: str) -> None:
    action = ActionSpec("set_fields", {"fields": [{"value": "x", **row}]}, timing="before_save")
    found = {
        one.pointer: one.message
        for one in rule_problems(RuleSpec("r", "R", model=model, signals=("pre_save",), actions=(action,)))
    }
    assert list(found) == [f"/actions/0/config/fields/0/{pointer}"]
    assert fragment in found[f"/actions/0/config/fields/0/{pointer}"]


def test_a_text_without_limit_can_have_a_counter_and_false_asks_none() -> None:
    unique(Plaque, "words", "title")
    Plaque.objects.create(title="Long " * 20)
    assert Plaque.objects.create(title="Long " * 20).words.endswith("long-2")
    unique(Animal, "notes", "name", unique=False)
    assert [Animal.objects.create(name="Bo").notes for _ in range(2)] == ["bo", "bo"]
