"""Vetoes: where a form shows them, what they stop, and that what fails is no veto."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.exceptions import ValidationError
from django.db import transaction
from django.forms import modelform_factory
from django.test import Client

from project.accounts.models import User
from project.shop.models import Category, Product
from rules_engine import paused
from rules_engine.errors import Rejected
from rules_engine.models import Event, Execution, Pause, Rule
from rules_engine.testing import create_rule, refresh, run_due

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("noted")]

CHEAP = {"<": [{"var": "instance.price"}, 1]}
#: What is written of a save that is not valid: never values.
REJECTED = "Product cannot be saved: its fields together (rejected)."
TOO_CHEAP = "{{ instance.name }} is too cheap."


def reject(signals: tuple[str, ...] = ("pre_save",), message: str = TOO_CHEAP, field: str = "", **fields: Any) -> None:
    config = {"message": message} | ({"field": field} if field else {})
    create_rule(Product, signals=signals, **{"condition": CHEAP, **fields}, actions=[("reject", config)])


def product(price: float = 0.5, **fields: Any) -> Product:
    return Product(name="Pen", price=price, **fields)


def test_a_save_that_is_rejected_is_not_made_and_says_why() -> None:
    reject()
    with pytest.raises(Rejected, match="Pen is too cheap"):
        product().save()
    assert not Product.objects.exists()
    product(2).save()
    assert Product.objects.count() == 1


def test_a_rejection_is_on_record_where_the_caller_commits() -> None:
    reject()
    with pytest.raises(Rejected):
        product().save()
    [execution] = Execution.objects.all()
    assert (execution.state, execution.summary) == ("succeeded", "Rejected: Pen is too cheap.")
    assert Event.objects.get().evaluations[0]["outcome"] == "matched"


def test_after_a_rejected_save_the_callers_transaction_goes_on() -> None:
    reject()
    with transaction.atomic():
        Category.objects.create(name="kept")
        with pytest.raises(Rejected):
            product().save()
        Category.objects.create(name="kept too")
    assert Category.objects.count() == 2


def test_a_delete_that_is_rejected_is_not_made() -> None:
    reject(("pre_delete",))
    one = product()
    one.save()
    with pytest.raises(Rejected):
        one.delete()
    with pytest.raises(Rejected):
        Product.objects.all().delete()
    assert Product.objects.count() == 1


def test_the_same_object_is_saved_once_its_trouble_is_gone() -> None:
    reject()
    one = product()
    for _ in range(20):
        with pytest.raises(Rejected):
            one.save()
    one.price = 2
    one.save()
    assert Product.objects.count() == 1


@pytest.mark.parametrize(
    ("named", "in_form", "shown"),
    [
        ("", ["name", "price"], "__all__"),
        ("price", ["name", "price"], "price"),
        ("stock", ["name", "price"], "__all__"),
    ],
)
def test_a_form_shows_it_at_its_field_or_above_all(named: str, in_form: list[str], shown: str) -> None:
    reject(field=named)
    form = modelform_factory(Product, fields=in_form)({"name": "Pen", "price": "0.50"})
    assert not form.is_valid()
    assert form.errors == {shown: ["Pen is too cheap."]}
    assert not Event.objects.exists()


def test_a_form_that_is_wrong_anyway_says_what_is_wrong() -> None:
    reject()
    form = modelform_factory(Product, fields=["name", "price"])({"name": "", "price": "abc"})
    assert set(form.errors) == {"name", "price"}


def test_the_admin_shows_it_in_its_form(client: Client) -> None:
    reject(field="price")
    client.force_login(User.objects.create_superuser("root"))
    page = client.post(
        "/admin/shop/product/add/",
        {
            "name": "Pen", "slug": "pen", "price": "0.50", "stock": "1",
            "images-TOTAL_FORMS": "0", "images-INITIAL_FORMS": "0",
        },
    )  # fmt: skip
    assert page.status_code == 200
    assert "Pen is too cheap." in page.content.decode()
    assert not Product.objects.exists()


def test_a_form_asks_no_rule_that_an_earlier_one_stops() -> None:
    create_rule(
        Product,
        signals=["pre_save"],
        position=0,
        stop_processing=True,
        condition={"==": [{"var": "instance.name"}, "Pen"]},
    )
    reject(position=1)
    product().full_clean()
    product().save()
    with pytest.raises(ValidationError):
        Product(name="Cap", price=0.5).full_clean()


def test_full_clean_is_the_models_own_again_once_no_rule_rejects() -> None:
    reject()
    assert "full_clean" in Product.__dict__
    Rule.objects.all().delete()
    refresh()
    assert "full_clean" not in Product.__dict__


def test_no_veto_while_paused_in_code_or_by_an_administrator() -> None:
    reject()
    with paused():
        product().full_clean()
        product().save()
    pause = Pause.objects.create(model="shop.product")
    refresh()
    product().full_clean()
    product().save()
    pause.delete()
    refresh()
    with pytest.raises(Rejected):
        product().save()


def test_a_veto_whose_author_may_not_change_the_object_is_no_veto() -> None:
    author = User.objects.create_user("ada", is_staff=True)
    author.user_permissions.add(Permission.objects.get(codename="view_product"))
    reject(author=author)
    product().save()
    assert Execution.objects.get().state == "refused"


def test_a_rejection_comes_through_to_another_process() -> None:
    for one in (Rejected("No.", rule_slug="r", field="price"), Rejected("No.", rule_slug="r")):
        same = pickle.loads(pickle.dumps(one))
        assert (same.messages, same.rule_slug, same.text) == (one.messages, "r", "No.")
        assert hasattr(same, "error_dict") == hasattr(one, "error_dict")


@pytest.mark.parametrize("kind", ["create_object", "update_objects"])
def test_what_a_veto_rejects_of_an_actions_work_is_not_tried_again(kind: str) -> None:
    reject()
    Product.objects.create(name="Pen", price=2)
    price = {"field": "price", "value": 0.5}
    configs = {
        "create_object": {"model": "shop.product", "values": [{"field": "name", "value": "Cap"}, price]},
        "update_objects": {
            "target": "query",
            "model": "shop.product",
            "filter": [{"field": "name", "value": "Pen"}],
            "values": [price],
        },
    }
    create_rule(Category, actions=[(kind, configs[kind])])
    Category.objects.create(name="any")
    run_due()
    assert [one.price for one in Product.objects.all()] == [2]
    execution = Execution.objects.get(kind=kind)
    assert execution.state == "discarded"
    assert execution.error in (REJECTED, "Pen is too cheap.")
