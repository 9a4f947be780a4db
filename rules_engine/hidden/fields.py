"""Which fields store something else than their value, so that who reads the table does not learn it.

What the site declares counts first: SENSITIVE_EXCEPTIONS, then ``rules_engine_hidden`` on the field or its class. Then
the packages that are known, names such as ``EncryptedTextField``, columns that are read through an expression, and at
last what the field does to a sample. A conversion that shows the sample (a phone number's, a slug's, a date's) is none.
"""

from __future__ import annotations

import datetime
import json
import re
import warnings
from functools import lru_cache
from typing import Any

from django.core.signals import setting_changed
from django.db import DEFAULT_DB_ALIAS, connections, models

from rules_engine import conf
from rules_engine.setting_values import SETTING
from rules_engine.types import ask

#: Packages whose fields encrypt or hash, by the first part of their modules' names.
PACKAGES = frozenset(
    {
        "pgcrypto",
        "django_cryptography",
        "django_crypto_fields",
        "fernet_fields",
        "encrypted_fields",
        "encrypted_model_fields",
        "encrypted_json_fields",
        "django_encrypted_filefield",
        "mirage",
        "secured_fields",
    }
)
_NAMED = re.compile(r"encrypt|crypted|cipher|fernet|pgp|hashed", re.IGNORECASE)
#: Where a field says what it stores.
STORING = ("get_prep_value", "get_db_prep_value", "get_db_prep_save")
#: Where it says how its column is read.
READING = ("get_col", "cached_col", "select_format")
#: Values of several types: a field takes one of them. Each with what its public forms show, and with another value.
SAMPLES: tuple[tuple[Any, Any, tuple[str, ...]], ...] = (
    ("Sample 4711 word", "Other 8302 text", ("4711", "sample")),
    (471147, 830283, ("471147",)),
    (datetime.date(2031, 5, 6), datetime.date(2029, 3, 4), ("2031",)),
    ({"word": "Sample 4711"}, {"word": "Other 8302"}, ("4711",)),
)


@lru_cache(maxsize=4096)
def is_hidden(field: Any) -> bool:
    """Say whether the field's value is kept out of whatever rules tell. Keys and relations are told: they lead on."""
    if not getattr(field, "concrete", False) or field.is_relation or field.primary_key or _is_excepted(field):
        return False
    declared = getattr(field, "rules_engine_hidden", None)
    return bool(declared) if declared is not None else _is_stored_hidden(field)


def _is_excepted(field: Any) -> bool:
    exceptions = {exception.lower() for exception in conf.sensitive_exceptions()}
    if not exceptions or not hasattr(field, "model"):
        return False
    lineage = (field.model, *field.model._meta.get_parent_list())
    names = {field.name.lower(), *(f"{model._meta.label_lower}.{field.name.lower()}" for model in lineage)}
    return not names.isdisjoint(exceptions)


def _is_stored_hidden(field: Any) -> bool:
    if isinstance(field, models.FileField):
        return False  # its column has a file's name, whatever the file has
    base = getattr(field, "base_field", None)
    if isinstance(base, models.Field) and _is_stored_hidden(base):
        return True
    foreign = [kind for kind in type(field).__mro__ if not kind.__module__.startswith(("django.", "builtins"))]
    if not foreign:
        return False
    if any(kind.__module__.partition(".")[0] in PACKAGES or _NAMED.search(kind.__name__) for kind in foreign):
        return True
    own = {name for kind in foreign for name in vars(kind)}
    if not own.isdisjoint(READING):
        return True
    return not (own | set(vars(field))).isdisjoint(STORING) and _hides_samples(field)


def _hides_samples(field: Any) -> bool:
    for sample, other, shown in SAMPLES:
        # Of what is no value of its own a field may raise anything, or warn.
        with warnings.catch_warnings(action="ignore"):
            stored, again, of_other = (ask(_stored, field, value) for value in (sample, sample, other))
        if not isinstance(stored, str | bytes | int | dict | list):
            continue
        if not stored or stored == of_other:
            continue  # no value of such a field, which stores nothing of it
        if stored != again:
            return True
        read = ask(_read_back, field, stored)
        # A library's key says that it equals the number which it was made of.
        if isinstance(sample, str | dict) or (type(read) is type(sample) and read == sample):
            return not _shows(stored, shown)
    return False


def _stored(field: Any, value: Any) -> Any:
    if field.get_internal_type() == "JSONField":
        return field.get_prep_value(value)  # what comes of it is wrapped for the database's driver
    stored = field.get_db_prep_save(value, connections[DEFAULT_DB_ALIAS])
    if type(stored).__name__ == "Binary":
        # What a driver of PostgreSQL's wraps bytes in: psycopg 3 and psycopg2.
        stored = getattr(stored, "obj", None) or getattr(stored, "adapted", None)
    return bytes(stored) if isinstance(stored, bytearray | memoryview) else stored


def _read_back(field: Any, stored: Any) -> Any:
    """Return the value of which that is stored: a key of a library's type takes a number, and has it for another."""
    connection = connections[DEFAULT_DB_ALIAS]
    return field.from_db_value(stored, None, connection) if hasattr(field, "from_db_value") else stored


def _shows(stored: Any, shown: tuple[str, ...]) -> bool:
    text = stored.decode("utf-8", "replace") if isinstance(stored, bytes) else stored
    text = (json.dumps(text, default=str) if isinstance(text, dict | list) else str(text)).casefold()
    return any(part in text for part in shown)


def _forget(*, setting: str, **_: object) -> None:
    if setting == SETTING:
        is_hidden.cache_clear()


setting_changed.connect(_forget, dispatch_uid="rules_engine.hidden")
