"""Models with inheritance, proxies, relations and fields of every kind."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

from rules_engine import RulesManager
from tests.zoo.every_field import EveryChild as EveryChild
from tests.zoo.every_field import EveryField as EveryField
from tests.zoo.every_field import EveryProxy as EveryProxy
from tests.zoo.fields import LowerField, SchemaField, ScrambledField, SpokenField, TagsField, UlidField, UpperField
from tests.zoo.shelves import Depot, Entry, Jar, Pair, Pickle, Remark, Shelf, Sticker
from tests.zoo.written import Assorted, Letter, Paper, Part, Stamped, Whole

__all__ = [
    "Assorted",
    "Depot",
    "Entry",
    "Jar",
    "Letter",
    "Pair",
    "Paper",
    "Part",
    "Pickle",
    "Remark",
    "Shelf",
    "Stamped",
    "Sticker",
    "Whole",
]


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


class Meal(models.Model):
    """Numbers of every kind, to add up and to multiply."""

    animal = models.ForeignKey(Animal, on_delete=models.CASCADE, related_name="meals")
    portions = models.IntegerField(default=1)
    spoons = models.IntegerField(default=1)
    grams = models.FloatField(default=0)
    price = models.DecimalField(max_digits=12, decimal_places=3, default=0)
    discount = models.DecimalField(max_digits=4, decimal_places=2, default=1)
    is_warm = models.BooleanField(default=False)
    lasted = models.DurationField(null=True)
    api_key = models.IntegerField(default=0)
    doubled = models.GeneratedField(
        expression=models.F("portions") * 2, output_field=models.IntegerField(), db_persist=True
    )


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


class Exhibit(models.Model):
    """Something to look at."""

    title = models.CharField(max_length=100)


class Statue(Exhibit):
    """An exhibit with a key of its own."""

    number = models.CharField(max_length=10, primary_key=True)
    exhibit = models.OneToOneField(Exhibit, parent_link=True, on_delete=models.CASCADE)


class Plaque(models.Model):
    """Its slug is short, and the database holds it to be unique."""

    title = models.CharField(max_length=100)
    slug = models.SlugField(max_length=12, unique=True, null=True)  # noqa: DJ001 - empty in many rows
    code = models.CharField(max_length=5, blank=True)
    size = models.CharField(max_length=20, choices=[("s", "small"), ("l", "large")], blank=True)
    words = models.TextField(blank=True)


class Club(models.Model):
    """Its members hang on a table of their own, in which the same animal may stand twice."""

    name = models.CharField(max_length=100, unique=True)
    members = models.ManyToManyField(Animal, through="Membership", related_name="clubs")
    dogs = models.ManyToManyField(Dog, related_name="dog_clubs")


class Membership(models.Model):
    """An animal in a club."""

    club = models.ForeignKey(Club, on_delete=models.CASCADE)
    animal = models.ForeignKey(Animal, on_delete=models.CASCADE)
    role = models.CharField(max_length=100, blank=True)


class Capsule(models.Model):
    """Its key is an object, and its columns hold other forms than Python has."""

    id = UlidField(primary_key=True, max_length=26)
    name = models.CharField(max_length=100, blank=True)
    mail = LowerField(max_length=100, blank=True)
    tags = TagsField(default=list)
    sealed = ScrambledField(default="")
    schema = SchemaField(default=dict)
    loud = UpperField(default="")
    spoken = SpokenField(max_length=100, default="")
    rich = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    lasted = models.DurationField(null=True)
    opened = models.DateTimeField(null=True)


class Pill(models.Model):
    """Hangs on an object whose key is one."""

    capsule = models.ForeignKey(Capsule, on_delete=models.CASCADE, related_name="pills")
    name = models.CharField(max_length=100, blank=True)


class Friend(models.Model):
    """Relations to its own model, with and without a direction."""

    name = models.CharField(max_length=50)
    friends = models.ManyToManyField("self")
    follows = models.ManyToManyField("self", symmetrical=False, related_name="followers")


class Skill(models.Model):
    """Pointed to by another column than its key."""

    code = models.CharField(max_length=20, unique=True)


class Trainer(models.Model):
    name = models.CharField(max_length=50)
    skills = models.ManyToManyField(Skill, through="TrainerSkill", related_name="trainers")


class TrainerSkill(models.Model):
    trainer = models.ForeignKey(Trainer, on_delete=models.CASCADE)
    skill = models.ForeignKey(Skill, to_field="code", on_delete=models.CASCADE)


class Slip(models.Model):
    """A key that Python makes."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    title = models.CharField(max_length=20, blank=True)


class Crate(models.Model):
    """Its manager tells rules of bulk writes."""

    name = models.CharField(max_length=20)
    price = models.DecimalField(max_digits=8, decimal_places=2, default=0)
    keeper = models.ForeignKey(Keeper, null=True, on_delete=models.SET_NULL, related_name="crates")

    objects = RulesManager()


class Lid(models.Model):
    """Whatever writes it in bulk is told, related managers too."""

    name = models.CharField(max_length=20)
    crate = models.ForeignKey(Crate, null=True, on_delete=models.CASCADE, related_name="lids")

    objects = RulesManager()

    class Meta:
        base_manager_name = "objects"
