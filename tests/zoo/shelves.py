"""Relations to many of every kind, some behind others."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models


class Remark(models.Model):
    """Is of any object, whose key it has as text."""

    # Tables of apps without migrations are made before those of others.
    content_type = models.ForeignKey(ContentType, on_delete=models.CASCADE, db_constraint=False)
    object_id = models.CharField(max_length=40)
    about = GenericForeignKey()
    words = models.CharField(max_length=100, blank=True)
    weight = models.DecimalField(max_digits=8, decimal_places=2, default=0)
    api_token = models.CharField(max_length=100, default="canary-token")

    class Meta:
        ordering: ClassVar[list[str]] = ["-weight", "pk"]


class Sticker(models.Model):
    name = models.CharField(max_length=100)

    class Meta:
        ordering: ClassVar[list[str]] = ["name", "pk"]


class Depot(models.Model):
    name = models.CharField(max_length=100)


class Shelf(models.Model):
    name = models.CharField(max_length=100)
    depot = models.ForeignKey(Depot, null=True, on_delete=models.CASCADE, related_name="shelves")
    stickers = models.ManyToManyField(Sticker, related_name="shelves")
    remarks = GenericRelation(Remark)


class FullJars(models.Manager["Jar"]):
    """Does not show jars that are empty."""

    def get_queryset(self) -> Any:
        return super().get_queryset().exclude(grams=0)


class Jar(models.Model):
    name = models.CharField(max_length=100)
    grams = models.IntegerField(default=1)
    shelf = models.ForeignKey(Shelf, on_delete=models.CASCADE, related_name="jars")
    remarks = GenericRelation(Remark)

    objects = FullJars()

    class Meta:
        ordering: ClassVar[list[str]] = ["grams", "-pk"]


class BrineField(models.IntegerField):
    """Cannot be read where there is none."""

    def from_db_value(self, value: int, expression: Any, connection: Any) -> int:
        """Return the column's value. Raises ``ValueError`` for what is less than nothing."""
        if value < 0:
            raise ValueError("There is no brine.")
        return value


class Pickle(models.Model):
    """Has no order."""

    shelf = models.ForeignKey(Shelf, on_delete=models.CASCADE, related_name="pickles")
    name = models.CharField(max_length=100)
    brine = BrineField(default=1)


class Entry(models.Model):
    """May be long."""

    shelf = models.ForeignKey(Shelf, on_delete=models.CASCADE, related_name="entries")
    words = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["pk"]


class Pair(models.Model):
    """Shows each only once, whichever way it was found."""

    class Distinct(models.Manager["Pair"]):
        def get_queryset(self) -> Any:
            return super().get_queryset().distinct()

    shelf = models.ForeignKey(Shelf, on_delete=models.CASCADE, related_name="pairs")
    name = models.CharField(max_length=100)

    objects = Distinct()

    class Meta:
        ordering: ClassVar[list[str]] = ["pk"]
