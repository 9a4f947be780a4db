"""Registers the shop."""

from __future__ import annotations

from django.apps import AppConfig


class ShopConfig(AppConfig):
    """Products and orders."""

    name = "project.shop"
    label = "shop"
    verbose_name = "Shop"

    def ready(self) -> None:
        """Let rules listen to the shop's own signals."""
        from project.shop import signals
        from rules_engine import register_signal

        order = {"instance": "The order"}
        register_signal("shop.order_paid", signals.order_paid, label="An order was paid", arguments=order)
        register_signal("shop.order_shipped", signals.order_shipped, label="An order was shipped", arguments=order)
        register_signal(
            "shop.order_delivered", signals.order_delivered, label="An order was delivered", arguments=order
        )
