"""Models with inheritance, proxies, relations and fields of every kind."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models


class Keeper(models.Model):
    name = models.CharField(max_length=100)
    api_token = models.CharField(max_length=100, default="canary-token")


class Tag(models.Model):
    name = models.CharField(max_length=100)


class Animal(models.Model):
    name = models.CharField(max_length=100)
    weight = models.DecimalField(max_digits=10, decimal_places=2, null=True)
    legs = models.IntegerField(default=4)
    born = models.DateField(null=True)
    fed_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(auto_now=True)
    keeper = models.ForeignKey(Keeper, null=True, on_delete=models.CASCADE, related_name="animals")
    tags = models.ManyToManyField(Tag, related_name="animals")
    notes = models.TextField(blank=True)
    data = models.JSONField(default=dict)
    blob = models.BinaryField(default=b"")


class Dog(Animal):
    breed = models.CharField(max_length=100, blank=True)


class GuardDog(Dog):
    class Meta:
        proxy = True


class OldAnimal(Animal):
    class Meta:
        proxy = True


class Ticket(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    animal = models.ForeignKey(Animal, on_delete=models.CASCADE)
    price = models.DecimalField(max_digits=8, decimal_places=2, default=0)

    unwatched: ClassVar[bool] = True


class Bystander(models.Model):
    """No rule ever listens to it."""

    name = models.CharField(max_length=100)
    tags = models.ManyToManyField(Tag)


class Hanger(models.Model):
    """Hangs on a bystander, so that deleting one cascades."""

    bystander = models.ForeignKey(Bystander, on_delete=models.CASCADE)


class Enclosure(models.Model):
    """Its key has two columns."""

    pk = models.CompositePrimaryKey("house", "number")
    house = models.IntegerField()
    number = models.IntegerField()
    name = models.CharField(max_length=100, blank=True)


class Feeding(models.Model):
    """The database works a column out."""

    portions = models.IntegerField(default=1)
    grams = models.GeneratedField(
        expression=models.F("portions") * 2, output_field=models.IntegerField(), db_persist=True
    )


class Cage(models.Model):
    """The database fills in what is not given, the key too."""

    code = models.CharField(max_length=100, primary_key=True, db_default="spare")
    name = models.CharField(max_length=100, db_default="empty")
