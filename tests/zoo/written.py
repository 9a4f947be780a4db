"""Models whose fields make something of what is written to them."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models
from django.utils import timezone


class StampField(models.DateTimeField):
    """Set by the field itself at each save, as the time-stamping base classes of libraries have it."""

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        value = timezone.now()
        setattr(model_instance, self.attname, value)
        return value


class Stamped(models.Model):
    """What is told of each save."""

    name = models.CharField(max_length=100)
    modified = StampField(editable=False)
    changed_on = models.DateTimeField(auto_now=True)
    made_on = models.DateTimeField(auto_now_add=True)


def cover() -> str:
    """Name the cover of papers that have none of their own."""
    return "covers/none.txt"


class Paper(models.Model):
    """Its files are those of all papers until it has its own."""

    file = models.FileField(upload_to="papers", default="papers/none.txt")
    cover = models.FileField(upload_to="covers", default=cover)


class Named:
    """A key of its own type, as libraries for ULIDs and short UUIDs have them."""

    def __init__(self, text: str) -> None:
        self.text = str(text)

    def __str__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Named) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


class NamedField(models.CharField):
    """Holds objects of that type."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return None if value is None else Named(value)

    def to_python(self, value: Any) -> Any:
        return value if value is None or isinstance(value, Named) else Named(value)

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else str(value)


class Whole(models.Model):
    """Its key is of a type of its own."""

    id = NamedField(primary_key=True, max_length=26)
    name = models.CharField(max_length=100, blank=True)


class Part(models.Model):
    """Hangs on such a key, or on none."""

    whole = models.ForeignKey(Whole, null=True, on_delete=models.CASCADE, related_name="parts")
    name = models.CharField(max_length=100, blank=True)


class ShownManager(models.Manager):
    """Hides what was deleted softly."""

    def get_queryset(self) -> models.QuerySet[Any]:
        return super().get_queryset().filter(is_deleted=False)


class Letter(models.Model):
    """Is deleted softly, and saved as one that is there, as a well-known base class has it."""

    name = models.CharField(max_length=100)
    is_deleted = models.BooleanField(default=False)
    answers = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE, related_name="answered_by")

    objects = ShownManager()
    everything = models.Manager()  # noqa: DJ012 - it is a manager

    def save(self, *args: Any, keep_deleted: bool = False, **options: Any) -> None:
        if not keep_deleted:
            self.is_deleted = False
        super().save(*args, **options)


class Assorted(models.Model):
    """A field of each of Django's types that a rule may write; all may be empty."""

    name = models.CharField(max_length=100, blank=True)
    flag = models.BooleanField(null=True, blank=True)
    small = models.SmallIntegerField(null=True, blank=True)
    number = models.IntegerField(null=True, blank=True)
    big = models.BigIntegerField(null=True, blank=True)
    positive = models.PositiveBigIntegerField(null=True, blank=True)
    fraction = models.FloatField(null=True, blank=True)
    price = models.DecimalField(max_digits=30, decimal_places=10, null=True, blank=True)
    day = models.DateField(null=True, blank=True)
    clock = models.TimeField(null=True, blank=True)
    moment = models.DateTimeField(null=True, blank=True)
    length = models.DurationField(null=True, blank=True)
    code = models.UUIDField(null=True, blank=True, default=uuid.uuid4)
    address = models.GenericIPAddressField(null=True, blank=True)
    mail = models.EmailField(blank=True)
    link = models.URLField(blank=True)
    slug = models.SlugField(blank=True)
    text = models.TextField(blank=True)
    facts = models.JSONField(null=True, blank=True)
    rich = models.JSONField(null=True, blank=True, encoder=DjangoJSONEncoder)
    whole = models.ForeignKey(Whole, null=True, on_delete=models.SET_NULL)


if connection.vendor == "postgresql":
    from django.contrib.postgres import fields

    class Spanned(models.Model):
        """A field of each of PostgreSQL's own types."""

        name = models.CharField(max_length=100, blank=True)
        words = fields.ArrayField(models.CharField(max_length=20, blank=True), null=True, blank=True)
        prices = fields.ArrayField(
            models.DecimalField(max_digits=20, decimal_places=2, null=True, blank=True), null=True, blank=True
        )
        days = fields.ArrayField(fields.ArrayField(models.DateField()), null=True, blank=True)
        whole_numbers = fields.IntegerRangeField(null=True, blank=True)
        fractions = fields.DecimalRangeField(null=True, blank=True)
        dates = fields.DateRangeField(null=True, blank=True)
        moments = fields.DateTimeRangeField(null=True, blank=True)
