"""Recordings in the admin: who may begin one, of what, and until when it goes on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from project.shop.models import Order
from rules_engine.models import Event, Recording

pytestmark = pytest.mark.django_db(transaction=True)

ADD = "admin:rules_engine_recording_add"
MAY = ("rules_engine.view_recording", "rules_engine.add_recording", "rules_engine.delete_recording")


def test_a_recording_begun_in_the_admin_keeps_events_from_then_on(admin_client: Client) -> None:
    response = admin_client.post(reverse(ADD), {"model": "shop.order", "hours": "4"})
    assert response.status_code == 302
    Order.objects.create(order_number="A1")
    assert Event.objects.get().object_pk
    made = Recording.objects.get()
    assert made.started_by == "root"
    assert timedelta(hours=3) < made.until - timezone.now() <= timedelta(hours=4)
    page = admin_client.get(reverse("admin:rules_engine_recording_changelist")).content.decode()
    assert "Order (shop.order)" in page


def test_a_model_that_one_may_not_view_cannot_be_recorded(staff: Callable[..., Client]) -> None:
    client = staff(*MAY, "shop.view_product")
    page = client.get(reverse(ADD)).content.decode()
    assert "shop.product" in page
    assert "shop.order" not in page
    response = client.post(reverse(ADD), {"model": "shop.order", "hours": "4"})
    assert response.status_code == 200
    assert not Recording.objects.exists()


def test_a_recording_cannot_be_extended_beyond_a_month(admin_client: Client) -> None:
    made = Recording.objects.create(model="shop.order", until=timezone.now() + timedelta(hours=1))
    page = reverse("admin:rules_engine_recording_change", args=[made.pk])
    far = timezone.now() + timedelta(days=40)
    response = admin_client.post(page, {"until_0": far.strftime("%Y-%m-%d"), "until_1": "12:00"})
    assert "within the next 31 days" in response.content.decode()
    near = timezone.now() + timedelta(days=2)
    assert admin_client.post(page, {"until_0": near.strftime("%Y-%m-%d"), "until_1": "12:00"}).status_code == 302
    made.refresh_from_db()
    assert made.until - timezone.now() > timedelta(days=1)
