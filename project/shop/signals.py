"""Signals that the shop's own code sends. ``sender`` is ``Order``, ``instance`` the order they are about."""

from __future__ import annotations

from django.dispatch import Signal

order_paid = Signal()
order_shipped = Signal()
order_delivered = Signal()
