"""The object that is asked about is chosen by its name, among those that whoever asks may view."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from project.shop.models import Order
from rules_engine.testing import create_rule
from tests.integration.admin.conftest import client_of, make_user
from tests.zoo.models import Animal

pytestmark = pytest.mark.django_db(transaction=True)

LOG = ("log_message", {"message": "x"})
RIGHTS = tuple(f"rules_engine.view_{name}" for name in ("rule", "event", "execution"))


def found(client: Client, model: str, word: str) -> list[str]:
    response = client.get(reverse("admin:rules_engine_rule_why_objects"), {"model": model, "q": word})
    assert response.status_code == 200
    return [one["name"] for one in response.json()["objects"]]


def ask(client: Client, **asked: str) -> Any:
    return client.get(reverse("admin:rules_engine_rule_why"), {"model": "shop.order", **asked})


def orders(*numbers: str, **fields: Any) -> list[Order]:
    return [Order.objects.create(order_number=number, **fields) for number in numbers]


def test_a_part_of_the_name_finds_it_as_the_models_own_search_does(admin_client: Client) -> None:
    orders("A-1", "A-2", "B-1")
    assert found(admin_client, "shop.order", "b-") == ["Order B-1"]
    assert found(admin_client, "shop.order", "A-") == ["Order A-2", "Order A-1"]
    assert found(admin_client, "shop.order", "") == ["Order B-1", "Order A-2", "Order A-1"]
    assert found(admin_client, "shop.order", "nothing") == []


def test_a_model_without_a_page_is_searched_by_its_texts(admin_client: Client) -> None:
    for name in ("Rex", "Tom"):
        Animal.objects.create(name=name)
    assert len(found(admin_client, "zoo.animal", "re")) == 1


@pytest.mark.parametrize("word", ["\0", "9" * 400, "%", "'; --", "{{ x }}"])
def test_whatever_is_typed_finds_nothing_and_is_no_error(word: str, admin_client: Client) -> None:
    orders("A-1")
    assert found(admin_client, "shop.order", word) in ([], ["Order A-1"])
    assert ask(admin_client, q=word).status_code == 200
    assert found(admin_client, "no.model", word) == []


def test_one_found_alone_is_answered_at_once_and_of_several_one_is_chosen(admin_client: Client) -> None:
    create_rule(Order, name="Acting", actions=[LOG])
    first, second = orders("A-1", "A-2")
    assert "Order was created" in ask(admin_client, q="A-2").content.decode()
    page = ask(admin_client, q="A-").content.decode()
    assert "Which one?" in page
    assert f'href="?model=shop.order&amp;pk={first.pk}"' in page
    assert f'href="?model=shop.order&amp;pk={second.pk}"' in page
    assert "There is no such object that you may see" in ask(admin_client, q="C").content.decode()
    assert "Which one?" in ask(admin_client).content.decode()


def test_another_name_counts_before_the_key_of_the_page_before(admin_client: Client) -> None:
    create_rule(Order, name="Acting", actions=[LOG])
    first, second = orders("A-1", "A-2")
    again = ask(admin_client, pk=str(first.pk), q="Order A-1").content.decode()
    assert f"/shop/order/{first.pk}/change/" in again
    other = ask(admin_client, pk=str(first.pk), q="A-2").content.decode()
    assert f"/shop/order/{second.pk}/change/" in other


def test_one_that_is_gone_is_found_by_its_key(admin_client: Client) -> None:
    create_rule(Order, name="Acting", actions=[LOG])
    (gone,) = orders("A-1")
    key = str(gone.pk)
    gone.delete()
    assert "Order was created" in ask(admin_client, q=key).content.decode()


def test_only_objects_that_the_models_page_shows_are_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    user = make_user(*RIGHTS, "shop.view_order")
    page = admin.site.get_model_admin(Order)
    whole = page.get_queryset
    monkeypatch.setattr(page, "get_queryset", lambda request: whole(request).filter(customer=request.user))
    create_rule(Order, name="Acting", actions=[LOG])
    orders("A-1")
    orders("A-2", customer=user)
    client = client_of(user)
    assert found(client, "shop.order", "A-") == found(client, "shop.order", "") == ["Order A-2"]
    hidden = Order.objects.get(order_number="A-1")
    assert found(client, "shop.order", str(hidden.pk)) == []
    assert "Order was created" not in ask(client, q=str(hidden.pk)).content.decode()


def test_objects_are_offered_to_those_alone_who_may_ask(staff: Callable[..., Client]) -> None:
    orders("A-1")
    assert found(staff(*RIGHTS, "shop.view_product"), "shop.order", "A") == []


def test_who_may_not_ask_is_offered_nothing(staff: Callable[..., Client]) -> None:
    address = reverse("admin:rules_engine_rule_why_objects")
    assert staff("rules_engine.view_rule", "shop.view_order").get(address, {"model": "shop.order"}).status_code == 403


def test_offering_takes_as_many_queries_for_many_objects_as_for_few(admin_client: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as taken:
            found(admin_client, "shop.order", "A-")
        return len(taken)

    orders("A-1")
    few = queries()
    orders(*(f"A-{number}" for number in range(2, 40)))
    assert queries() == few
