"""Models whose fields, managers and bases are those of other packages."""

from __future__ import annotations

import datetime as dt

import pghistory
from django.db import models
from django_pydantic_field import SchemaField
from django_scopes import ScopedManager
from djmoney.models.fields import MoneyField
from pgcrypto.fields import TextPGPSymmetricKeyField
from phonenumber_field.modelfields import PhoneNumberField
from pydantic import BaseModel
from simple_history.models import HistoricalRecords
from timezone_field import TimeZoneField
from treebeard.mp_tree import MP_Node
from wagtail.blocks import CharBlock, DateBlock
from wagtail.fields import StreamField
from wagtail.models import Page


class Contact(models.Model):
    """django-phonenumber-field, django-timezone-field and django-money."""

    name = models.CharField(max_length=50)
    phone = PhoneNumberField(blank=True)
    zone = TimeZoneField(default="UTC")
    fee = MoneyField(max_digits=10, decimal_places=2, default_currency="EUR", default=0)


class Visit(models.Model):
    contact = models.ForeignKey(Contact, models.CASCADE, related_name="visits")
    on = models.DateField(default=dt.date(2031, 5, 6))


class Organizer(models.Model):
    name = models.CharField(max_length=50)


class Conference(models.Model):
    """django-scopes: its manager raises outside of a scope."""

    organizer = models.ForeignKey(Organizer, models.CASCADE, related_name="conferences")
    name = models.CharField(max_length=50)
    note = models.CharField(max_length=50, blank=True)

    objects = ScopedManager(organizer="organizer")


class Talk(models.Model):
    conference = models.ForeignKey(Conference, models.CASCADE, related_name="talks")
    name = models.CharField(max_length=50)
    note = models.CharField(max_length=50, blank=True)

    objects = ScopedManager(organizer="conference__organizer")


@pghistory.track(pghistory.InsertEvent(), pghistory.UpdateEvent())
class Parcel(models.Model):
    """django-pghistory, by triggers of django-pgtrigger."""

    name = models.CharField(max_length=50)


class Contract(models.Model):
    """django-simple-history; django-auditlog is told of it in its test."""

    name = models.CharField(max_length=50)

    history = HistoricalRecords()


class Article(models.Model):
    """django-modeltranslation: ``title`` is a column, and so are ``title_en`` and ``title_de``."""

    title = models.CharField(max_length=50)


class Person(models.Model):
    """django-pgcrypto-fields: the database encrypts and decrypts."""

    name = models.CharField(max_length=50)
    number = TextPGPSymmetricKeyField(null=True)


class Colors(BaseModel):
    color: str = "red"
    shades: int = 1


class Theme(models.Model):
    """django-pydantic-field."""

    colors = SchemaField(schema=Colors, default=Colors)


class Shelf(MP_Node):
    """django-treebeard."""

    name = models.CharField(max_length=50)


class NewsPage(Page):
    """Wagtail."""

    body = StreamField([("line", CharBlock())], blank=True)


class Packaged(models.Model):
    """A field of each package that has some, and what is inherited of it."""

    number = models.IntegerField(default=1)
    title = models.CharField(max_length=50, blank=True)
    phone = PhoneNumberField(blank=True)
    zone = TimeZoneField(default="UTC")
    fee = MoneyField(max_digits=10, decimal_places=2, default_currency="EUR", default=0)
    colors = SchemaField(schema=Colors, default=Colors)
    body = StreamField([("line", CharBlock()), ("day", DateBlock())], blank=True)
    sealed = TextPGPSymmetricKeyField(null=True)


class PackagedChild(Packaged):
    more = models.CharField(max_length=50, blank=True)


class PackagedProxy(Packaged):
    class Meta:
        proxy = True
