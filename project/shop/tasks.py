"""Celery tasks that rules may run: those in ``RULES_ENGINE["TASKS"]``."""

from __future__ import annotations

from celery import shared_task
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from project.shop.models import Order


def packing_list(order_id: int) -> str:
    """The name of an order's packing list among the site's files."""
    return f"packing/order-{order_id}.txt"


@shared_task
def request_fulfilment(order_id: int) -> None:
    """Write the packing list of a paid order, for those who pack it. Doing so again makes no second one."""
    order = Order.objects.get(pk=order_id)
    lines = [f"{item.quantity} × {item.product.name}" for item in order.items.select_related("product").order_by("pk")]
    name = packing_list(order_id)
    default_storage.delete(name)
    default_storage.save(name, ContentFile("\n".join([f"Order {order.order_number}", *lines, ""])))
