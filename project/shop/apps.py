"""Registers the shop."""

from __future__ import annotations

from django.apps import AppConfig


class ShopConfig(AppConfig):
    """Products and orders."""

    name = "project.shop"
    label = "shop"
    verbose_name = "Shop"
