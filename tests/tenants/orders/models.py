"""What each tenant has of its own."""

from __future__ import annotations

from django.db import models


class Order(models.Model):
    name = models.CharField(max_length=50)
    note = models.CharField(max_length=50, blank=True)
    pay_at = models.DateTimeField(null=True, db_index=True)

    def __str__(self) -> str:
        return self.name
