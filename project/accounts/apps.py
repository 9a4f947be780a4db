"""Registers the demo's users."""

from __future__ import annotations

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Users of the demo."""

    name = "project.accounts"
    label = "accounts"
    verbose_name = "Accounts"
