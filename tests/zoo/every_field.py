"""A model with a field of each of Django's types, one that inherits it, and a proxy of it."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models.functions import Upper

IS_POSTGRESQL = settings.DATABASES["default"]["ENGINE"].endswith("postgresql")


class EveryField(models.Model):
    """What a rule could read."""

    number = models.IntegerField(default=1)
    small = models.SmallIntegerField(default=1)
    big = models.BigIntegerField(default=1)
    positive = models.PositiveIntegerField(default=1)
    positive_small = models.PositiveSmallIntegerField(default=1)
    positive_big = models.PositiveBigIntegerField(default=1)
    fraction = models.FloatField(default=0)
    exact = models.DecimalField(max_digits=12, decimal_places=3, default=0)
    flag = models.BooleanField(default=False)
    perhaps = models.BooleanField(null=True)
    line = models.CharField(max_length=100, blank=True)
    words = models.TextField(blank=True)
    slug = models.SlugField(max_length=100, blank=True)
    mail = models.EmailField(blank=True)
    url = models.URLField(blank=True)
    path = models.FilePathField(path="/tmp", blank=True)
    file = models.FileField(upload_to="every", blank=True)
    day = models.DateField(null=True)
    moment = models.DateTimeField(null=True)
    touched = models.DateTimeField(auto_now=True)
    made = models.DateTimeField(auto_now_add=True)
    clock = models.TimeField(null=True)
    length = models.DurationField(null=True)
    uuid = models.UUIDField(default=uuid.uuid4)
    address = models.GenericIPAddressField(null=True)
    facts = models.JSONField(default=dict, null=True)
    rich = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    blob = models.BinaryField(default=b"")
    keeper = models.ForeignKey("zoo.Keeper", null=True, on_delete=models.SET_NULL)
    only = models.OneToOneField("zoo.Tag", null=True, on_delete=models.SET_NULL)
    given = models.CharField(max_length=100, db_default="given")
    doubled = models.GeneratedField(
        expression=models.F("number") * 2, output_field=models.IntegerField(), db_persist=True
    )
    loud = models.GeneratedField(expression=Upper("line"), output_field=models.TextField(), db_persist=True)

    if IS_POSTGRESQL:
        from django.contrib.postgres import fields as of_postgresql

        numbers = of_postgresql.ArrayField(models.IntegerField(), default=list)
        days = of_postgresql.ArrayField(models.DateField(), null=True)
        span = of_postgresql.IntegerRangeField(null=True)
        long_span = of_postgresql.BigIntegerRangeField(null=True)
        amounts = of_postgresql.DecimalRangeField(null=True)
        season = of_postgresql.DateRangeField(null=True)
        shift = of_postgresql.DateTimeRangeField(null=True)
        del of_postgresql


class EveryChild(EveryField):
    """Has a table of its own beside."""

    more = models.CharField(max_length=100, blank=True)


class EveryProxy(EveryField):
    """Has no table of its own."""

    class Meta:
        proxy = True


TEN = datetime.datetime(2026, 3, 1, 10, tzinfo=datetime.UTC)
EAST = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
#: What a site may put on an instance: some of it in another guise than the database gives it back in.
GUISES: dict[str, list[Any]] = {
    "number": [1, "1", 2, 2.0, True, -5],
    "small": [1, "1", 2],
    "big": [2**63 - 1, str(2**63 - 1), 2**53 + 1, -(2**63)],
    "positive": [0, "0", 7],
    "positive_small": [0, 7],
    "positive_big": [0, 2**62],
    "fraction": [0, 0.1, "0.1", 1, 1e300, -0.0],
    "exact": ["1.1", 1.1, "1.1000", 2, "0.0005", "-3.1415"],
    "flag": [True, 1, "True", False, 0, "f"],
    "perhaps": [None, True, "1", False],
    "line": ["", "a", 5, "5", "é", "x" * 100],
    "words": ["", "a" * 20_000, "a" * 19_999 + "b", "line\nline", 7],
    "slug": ["", "a-b"],
    "mail": ["", "a@example.org"],
    "url": ["", "https://example.org/?a=b"],
    "path": ["", "/tmp/a"],
    "file": ["", "every/a.txt", "every/b.txt"],
    "day": [None, "2026-03-01", datetime.date(2026, 3, 1), TEN, datetime.date(1, 1, 1)],
    "moment": [
        *(None, TEN, TEN.astimezone(EAST), "2026-03-01 10:00:00", "2026-03-01T10:00:00.000001+00:00"),
        *(TEN.replace(tzinfo=None), datetime.date(2026, 3, 1)),
    ],
    "clock": [None, "08:30", datetime.time(8, 30), datetime.time(8, 30, 0, 1)],
    "length": [None, datetime.timedelta(0), datetime.timedelta(2, 5400, 5), -datetime.timedelta(seconds=1.5)],
    "uuid": [uuid.UUID(int=1), str(uuid.UUID(int=1)), uuid.UUID(int=1).hex, uuid.UUID(int=2)],
    "address": [None, "10.0.0.1", "2001:DB8::0001", "2001:db8::1"],
    "facts": [
        *(1e23, {"a": 1.152921504606847e18}, 10**20 + 1, 1e-7, -1e300),
        *(None, 1, True, 1.0, "1", [], {}, {"a": 1, "b": [True]}, {"b": [True], "a": 1}, {"b": [1], "a": True}),
        *((1, 2), [1, 2], {1: "x"}, {"1": "x"}, list(range(1200)), [*range(1199), 0], {"a": "é", "deep": [[[[{}]]]]}),
    ],
    "rich": [{}, {"at": TEN}, {"at": "2026-03-01T10:00:00Z"}, {"of": uuid.UUID(int=1)}, [datetime.timedelta(1)]],
    "blob": [b"", b"abc", bytearray(b"abc"), memoryview(b"abd"), bytes(range(256))],
    "given": ["given", "taken"],
}
if IS_POSTGRESQL:
    from django.db.backends.postgresql import psycopg_any as ranges

    FIRST, LAST = datetime.date(2026, 1, 1), datetime.date(2026, 1, 31)
    GUISES |= {
        "numbers": [[], [1, 2], (1, 2), ["1", 2], [None]],
        "days": [None, ["2026-01-01"], [FIRST], [FIRST, LAST]],
        "span": [None, (1, 6), ranges.NumericRange(1, 5, "[]"), ranges.NumericRange(0, 6, "()"), [2, 2], (None, 3)],
        "long_span": [None, (2**40, 2**41), ranges.NumericRange(2**40 - 1, 2**41, "()")],
        "amounts": [
            None,
            (Decimal("1.5"), Decimal("1.50")),
            (Decimal(1), Decimal("2.5")),
            ranges.NumericRange(1, 1, "[]"),
            ranges.NumericRange(1, 1, "[)"),
        ],
        "season": [None, (FIRST, LAST), ranges.DateRange(FIRST, LAST, "[]"), (FIRST, datetime.date(2026, 2, 1))],
        "shift": [None, (TEN, None), (TEN.astimezone(EAST), None), ranges.DateTimeTZRange(TEN, TEN, "[]")],
    }
