"""Model fields that are encrypted in the database, and decrypted only when somebody asks for the value.

Decrypting late keeps lists and edit forms alive when a key is lost: only the code that needs the secret fails, and
says why. ``values()`` and friends give ``Sealed`` objects; nothing ever gives ciphertext for the value.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models.query_utils import DeferredAttribute

from webhooks.signing import encryption

if TYPE_CHECKING:
    _TextField = models.TextField[Any, Any]
else:
    _TextField = models.TextField


class Sealed:
    """An encrypted value as it stands in the database. It prints as nothing that helps anybody."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return "<encrypted>"


class _UnsealedOnAccess(DeferredAttribute):
    def __get__(self, instance: Any, cls: Any = None) -> Any:
        value = super().__get__(instance, cls)
        if isinstance(value, Sealed):
            value = self.field.unsealed(value)  # type: ignore[attr-defined]
            instance.__dict__[self.field.attname] = value
        return value

    # Defining __set__ makes this a data descriptor: without it the instance's own __dict__ would be asked first.
    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.field.attname] = value


class EncryptedTextField(_TextField):
    """Text, encrypted at rest. An empty text is stored as it is. It cannot be searched for, except ``isnull``."""

    descriptor_class = _UnsealedOnAccess
    #: Whoever copies fields of a model (snapshots, exports) is asked to leave this one alone.
    sensitive = True

    def unsealed(self, value: Sealed) -> Any:
        """Decrypt the plain value. Raises ``EncryptionKeyError``."""
        return self.from_text(encryption.unseal(value.text)) if value.text else self.from_text("")

    def to_text(self, value: Any) -> str:
        """Write the text that is encrypted for ``value``; empty for nothing."""
        return str(value)

    def from_text(self, text: str) -> Any:
        """Read what ``to_text`` was called with."""
        return text

    def is_sealed(self, instance: models.Model) -> bool:
        """Tell whether the instance holds the value as it came from the database, not decrypted and not replaced."""
        return isinstance(instance.__dict__.get(self.attname), Sealed)

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Sealed | None:
        return None if value is None else Sealed(value)

    def to_python(self, value: Any) -> Any:
        # Fixtures carry the sealed text, so that dumpdata gives no secret away and loaddata takes it back.
        if isinstance(value, str) and value.startswith(encryption.PREFIX):
            return Sealed(value)
        return value

    def get_prep_value(self, value: Any) -> str | None:
        if value is None:
            return None
        if isinstance(value, Sealed):
            return value.text
        text = self.to_text(value)
        return encryption.seal(text) if text else ""

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        # Not through the attribute: a value nobody touched is written back sealed, key or no key.
        return model_instance.__dict__.get(self.attname)

    def value_from_object(self, obj: models.Model) -> Any:
        return obj.__dict__.get(self.attname)

    def value_to_string(self, obj: models.Model) -> str:
        return self.get_prep_value(self.value_from_object(obj)) or ""

    def get_lookup(self, lookup_name: str) -> Any:
        return super().get_lookup(lookup_name) if lookup_name == "isnull" else None


class EncryptedJSONField(EncryptedTextField):
    """A JSON object, encrypted at rest. An empty one is stored as an empty text."""

    def to_text(self, value: Any) -> str:
        return json.dumps(value, ensure_ascii=False) if value else ""

    def from_text(self, text: str) -> Any:
        return json.loads(text) if text else {}
