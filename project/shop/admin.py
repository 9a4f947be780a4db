"""The shop in the admin."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.dispatch import Signal
from django.http import HttpRequest

from project.shop import signals
from project.shop.models import Category, Order, OrderItem, Product, ProductImage, StatusHistory, Tag
from rules_engine.admin import RulesOfObjectMixin


class ProductImageInline(admin.TabularInline):
    """A product's further pictures."""

    model = ProductImage
    extra = 0


class OrderItemInline(admin.TabularInline):
    """An order's lines."""

    model = OrderItem
    extra = 0
    autocomplete_fields = ("product",)


class StatusHistoryInline(admin.TabularInline):
    """Where an order has been; written by a rule, so only read here."""

    model = StatusHistory
    extra = 0
    can_delete = False
    readonly_fields = ("from_status", "to_status", "at")

    def has_add_permission(self, request: HttpRequest, obj: Order | None = None) -> bool:
        """Nobody adds to the history by hand."""
        return False


@admin.register(Category)
class CategoryAdmin(admin.ModelAdmin):
    """Categories."""

    search_fields = ("name",)


@admin.register(Tag)
class TagAdmin(admin.ModelAdmin):
    """Tags."""

    list_display = ("name", "product_count")
    search_fields = ("name",)
    readonly_fields = ("product_count",)


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):
    """Products with their pictures."""

    list_display = ("name", "category", "price", "stock")
    list_filter = ("category", "tags")
    list_select_related = ("category",)
    search_fields = ("name", "slug")
    filter_horizontal = ("tags",)
    inlines = (ProductImageInline,)


@admin.register(Order)
class OrderAdmin(RulesOfObjectMixin, admin.ModelAdmin):
    """Orders with their lines and history."""

    list_display = ("order_number", "customer", "status", "total", "status_changed_at")
    list_filter = ("status",)
    list_select_related = ("customer",)
    search_fields = ("order_number", "customer__username", "customer__email")
    autocomplete_fields = ("customer",)
    readonly_fields = ("subtotal", "total", "status_changed_at")
    inlines = (OrderItemInline, StatusHistoryInline)
    actions = ("mark_paid", "mark_shipped", "mark_delivered")

    @admin.action(description="Mark selected orders as paid", permissions=["change"])
    def mark_paid(self, request: HttpRequest, orders: QuerySet[Order]) -> None:
        """The status, and the signal that goes with it."""
        self._mark(request, orders, Order.Status.PAID, signals.order_paid)

    @admin.action(description="Mark selected orders as shipped", permissions=["change"])
    def mark_shipped(self, request: HttpRequest, orders: QuerySet[Order]) -> None:
        """The status, and the signal that goes with it."""
        self._mark(request, orders, Order.Status.SHIPPED, signals.order_shipped)

    @admin.action(description="Mark selected orders as delivered", permissions=["change"])
    def mark_delivered(self, request: HttpRequest, orders: QuerySet[Order]) -> None:
        """The signal alone: a rule of the pack ``shop`` sets the status on it, in the same transaction."""
        self._mark(request, orders, None, signals.order_delivered)

    def _mark(self, request: HttpRequest, orders: QuerySet[Order], status: Order.Status | None, signal: Signal) -> None:
        with transaction.atomic():
            for order in orders.select_related(None).select_for_update():
                if status is not None:
                    order.status = status
                    order.save()
                signal.send(sender=Order, instance=order)
        self.message_user(request, f"Orders done: {len(orders)}.", messages.SUCCESS)
