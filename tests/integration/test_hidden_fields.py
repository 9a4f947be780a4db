"""A field whose stored form is not its value: rules may ask whether it changed, and nothing tells what it is."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.core import checks, mail
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import connection, models

from rules_engine.checks import check_hidden_fields
from rules_engine.errors import InvalidRule
from rules_engine.hidden.fields import is_hidden
from rules_engine.models import AuditEntry, Event, Execution
from rules_engine.testing import create_rule, run_due
from tests.zoo.fields import Ulid
from tests.zoo.models import Animal, Capsule, Pill

pytestmark = pytest.mark.django_db(transaction=True)

CLEAR, OTHER = "canary-4711", "sparrow-0815"
LOG = [("log_message", {"message": "changed"})]


def everything_of_ours() -> str:
    """All rows of the engine's tables, as the database holds them, and all mails."""
    tables = [model._meta.db_table for model in apps.get_app_config("rules_engine").get_models()]
    rows = []
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"SELECT * FROM {table}")
            rows += cursor.fetchall()
    mails = [(message.subject, message.body) for message in mail.outbox]
    return repr((rows, mails))


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    logging.getLogger().addHandler(handler)
    yield written
    logging.getLogger().removeHandler(handler)


@pytest.mark.parametrize("field", ["sealed", "loud"])
def test_its_value_stands_in_no_row_no_mail_and_no_log(field: str, log: io.StringIO) -> None:
    places = (f"instance.{field}", f"old.{field}", f"changes.{field}.new", f"instance.{field}|upper")
    text = " ".join(f"{{{{ {place} }}}}" for place in places)
    create_rule(
        model=Capsule,
        actions=[
            ("log_message", {"message": text}),
            ("write_audit_entry", {"note": text, "name": text}),
            ("send_email", {"to": ["a@example.org"], "subject": text, "body": text}),
        ],
        throttle_by=f"{{{{ instance.{field} }}}}",
        throttle_seconds=1,
        throttle_count=5,
    )
    create_rule(
        model=Capsule,
        condition={"in": ["4711", {"var": f"instance.{field}"}]},
        actions=[("log_message", {"message": "That is what it is."})],
    )
    create_rule(model=Pill, actions=[("log_message", {"message": f"{{{{ instance.capsule.{field} }}}}"})])
    capsule = Capsule.objects.create(id=Ulid("a"), **{field: CLEAR})
    setattr(capsule, field, OTHER)
    capsule.save()
    Pill.objects.create(capsule=Capsule.objects.get())
    run_due()
    assert AuditEntry.objects.count() == 2
    assert len(mail.outbox) == 2
    told = (everything_of_ours() + log.getvalue()).lower()
    assert "[hidden]" in told
    assert not [value for value in (CLEAR, OTHER, CLEAR[::-1]) if value in told]
    assert "That is what it is." not in log.getvalue()


@pytest.mark.parametrize("field", ["sealed", "loud"])
def test_rules_may_ask_whether_it_changed(field: str) -> None:
    create_rule(model=Capsule, operations=["update"], changes=[{"field": field}], actions=LOG)
    Capsule.objects.create(id=Ulid("a"), **{field: CLEAR})
    capsule = Capsule.objects.get()
    capsule.save()
    assert Event.objects.count() == 0
    setattr(capsule, field, OTHER)
    capsule.save()
    assert Event.objects.get().context["changes"] == {field: {"old": "[hidden]", "new": "[hidden]"}}
    run_due()
    assert Execution.objects.get().state == "succeeded"


@pytest.mark.parametrize("end", ["from", "to"])
def test_nobody_writes_its_value_into_a_rule(end: str) -> None:
    with pytest.raises(InvalidRule, match="is hidden from rules"):
        create_rule(model=Capsule, changes=[{"field": "sealed", end: CLEAR}], actions=LOG)
    create_rule(model=Capsule, changes=[{"field": "sealed", end: ""}], actions=LOG)
    for config in (
        {"values": [{"field": "sealed", "value": CLEAR}]},
        {
            "target": "query",
            "model": "zoo.capsule",
            "filter": [{"field": "sealed", "value": CLEAR}],
            "values": [{"field": "name", "value": "x"}],
        },
    ):
        with pytest.raises(InvalidRule, match="Rules may not"):
            create_rule(model=Capsule, actions=[("update_objects", config)])


def test_the_least_of_hidden_values_cannot_be_read() -> None:
    with pytest.raises(InvalidRule):
        create_rule(model=Capsule, actions=[("log_message", {"message": "{{ instance.pills__sealed__min }}"})])


def test_a_site_may_say_that_a_field_is_no_secret(settings: Any) -> None:
    capsule_field = Capsule._meta.get_field("sealed")
    assert is_hidden(capsule_field)
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "SENSITIVE_EXCEPTIONS": ["zoo.capsule.sealed"]}
    assert not is_hidden(capsule_field)
    create_rule(model=Capsule, slug="told", actions=[("log_message", {"message": "{{ instance.sealed }}"})])
    Capsule.objects.create(id=Ulid("a"), sealed=CLEAR)
    run_due()
    assert Execution.objects.get().summary == f"Logged: {CLEAR}"


def test_a_check_names_the_fields_that_are_hidden(settings: Any) -> None:
    [said] = check_hidden_fields(None)
    assert said.id == "rules_engine.I016"
    assert said.level == checks.INFO
    assert "zoo.capsule.loud, zoo.capsule.sealed" in said.msg
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "SENSITIVE_EXCEPTIONS": ["zoo.capsule.sealed"]}
    [said] = check_hidden_fields(None)
    assert "sealed" not in said.msg
    # What is but said for information fails no check.
    assert not [message for message in checks.run_checks() if message.id == said.id and message.is_serious()]


# Which fields are


class EncryptedTextField(models.TextField):
    """Any package's, by its name."""


class Base64Field(models.TextField):
    """Stores what a reader cannot read at a glance, and gives it back."""

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else base64.b64encode(str(value).encode()).decode()

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return None if value is None else base64.b64decode(value).decode()


class DigestField(models.CharField):
    """Keeps a hash alone."""

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else hashlib.sha256(str(value).encode()).hexdigest()


class ShiftedField(models.BinaryField):
    """Encrypts numbers, each always alike."""

    def get_prep_value(self, value: Any) -> Any:
        return (int(value) * 7919).to_bytes(8, "big")

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return int.from_bytes(value, "big") // 7919


class BytesField(models.BinaryField):
    """Encrypts as it prepares for the database alone."""

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        return None if value is None else bytes(byte ^ 0x5A for byte in str(value).encode())


class SealedJsonField(models.JSONField):
    """Encrypts what stands in the JSON."""

    def get_prep_value(self, value: Any) -> Any:
        return {"sealed": base64.b64encode(json.dumps(value).encode()).decode()}


class DeclaredField(models.TextField):
    """Hides its value otherwise, and says so."""

    rules_engine_hidden = True


class OpenEncryptedField(EncryptedTextField):
    """Is called so, and says that it is no secret."""

    rules_engine_hidden = False


@pytest.mark.parametrize(
    "kind", [EncryptedTextField, Base64Field, DigestField, BytesField, ShiftedField, SealedJsonField, DeclaredField]
)
def test_a_field_that_hides_its_value(kind: type[models.Field[Any, Any]]) -> None:
    assert is_hidden(named(kind()))


class PhoneField(models.CharField):
    """Stores digits and a plus, and refuses what is no number."""

    def get_prep_value(self, value: Any) -> Any:
        digits = "".join(letter for letter in str(value) if letter.isdigit())
        if len(digits) < 6:
            raise ValueError(f"{value} is no number.")
        return f"+{digits}"


class StrictField(models.CharField):
    """Takes what it knows alone, as Django's own validation says it, and warns of the rest."""

    def get_prep_value(self, value: Any) -> Any:
        warnings.warn("That is none.", UserWarning, stacklevel=1)
        raise ValidationError("That is none.")


class NumberedUlid(Ulid):
    """Equals the number that it was made of."""

    def __eq__(self, other: object) -> bool:
        return int(self.text, 16) == other if isinstance(other, int) else super().__eq__(other)

    def __hash__(self) -> int:
        return super().__hash__()


class LetteredField(models.CharField):
    """A key of its own type, which can be made of a number."""

    def get_prep_value(self, value: Any) -> Any:
        return hex(int(value))

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return NumberedUlid(value)


class LockedField(models.IntegerField):
    """Fails in its own way where it is asked."""

    def get_prep_value(self, value: Any) -> Any:
        raise ImproperlyConfigured("There is no key.")


class ZoneField(models.CharField):
    """Stores a name, and nothing of what is no zone."""

    def get_prep_value(self, value: Any) -> Any:
        return str(value) if "/" in str(value) else ""


class CentsField(models.IntegerField):
    """Stores a whole number of cents."""

    def get_prep_value(self, value: Any) -> Any:
        return int(value)


class SlugLikeField(models.CharField):
    """Stores words as addresses have them."""

    def get_prep_value(self, value: Any) -> Any:
        return str(value).strip().lower().replace(" ", "-")


class MonthField(models.DateField):
    """Stores a month as a text."""

    def get_prep_value(self, value: Any) -> Any:
        return f"{value:%Y-%m}"


class EncryptedFileField(models.FileField):
    """Encrypts the file, whose name its column has."""


class ObjectField(models.JSONField):
    """Stores JSON of an object."""

    def get_prep_value(self, value: Any) -> Any:
        return json.dumps(value)


@pytest.mark.parametrize(
    "kind",
    [
        *(
            PhoneField,
            StrictField,
            LockedField,
            LetteredField,
            ZoneField,
            CentsField,
            SlugLikeField,
            MonthField,
            ObjectField,
        ),
        *(EncryptedFileField, OpenEncryptedField),
    ],
)
def test_a_public_form_of_a_value_is_not_hidden(kind: type[models.Field[Any, Any]]) -> None:
    assert not is_hidden(named(kind()))


def test_no_field_of_djangos_and_none_of_the_demos_is_hidden() -> None:
    fields = [field for model in apps.get_models() for field in model._meta.local_fields]
    found = {f"{field.model._meta.label_lower}.{field.name}" for field in fields if is_hidden(field)}
    assert {name for name in found if not name.startswith("webhooks.")} == {"zoo.capsule.sealed", "zoo.capsule.loud"}
    assert not [field for field in Animal._meta.local_fields if is_hidden(field)]


def named(field: models.Field[Any, Any]) -> models.Field[Any, Any]:
    field.set_attributes_from_name("field")
    return field
