"""Fields with conversions of their own, as libraries have them."""

from __future__ import annotations

from typing import Any

from django.db import models


class Ulid:
    """A key of its own type."""

    def __init__(self, text: object) -> None:
        self.text = str(text)

    def __str__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ulid) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


class UlidField(models.CharField):
    """Reads back an object, and stores its text."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """Return the object."""
        return None if value is None else Ulid(value)

    def to_python(self, value: Any) -> Any:
        """Return the object."""
        return value if value is None or isinstance(value, Ulid) else Ulid(value)

    def get_prep_value(self, value: Any) -> Any:
        """Return the text."""
        return None if value is None else str(value)


class LowerField(models.CharField):
    """Stores another text than it is given."""

    def get_prep_value(self, value: Any) -> Any:
        """Return it in small letters."""
        text = super().get_prep_value(value)
        return text.lower() if text else text


class TagsField(models.TextField):
    """Stores a list as a text."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """Return the list."""
        return value.split(",") if value else []

    def get_prep_value(self, value: Any) -> Any:
        """Return the text."""
        return value if value is None or isinstance(value, str) else ",".join(value)


class ScrambledField(models.TextField):
    """Stores what is no longer readable, and differs each time, as encrypted columns do."""

    count = 0

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """Return the text."""
        return None if value is None else value.split(":", 1)[1][::-1]

    def get_prep_value(self, value: Any) -> Any:
        """Return it scrambled."""
        ScrambledField.count += 1
        return None if value is None else f"{self.count}:{value[::-1]}"


class SchemaField(models.JSONField):
    """Reads JSON back as an object."""

    class Object:
        """What stands for the JSON."""

        def __init__(self, values: dict[str, Any]) -> None:
            self.values = values

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """Return the object."""
        return self.Object(super().from_db_value(value, expression, connection))

    def get_prep_value(self, value: Any) -> Any:
        """Return the JSON."""
        return value.values if isinstance(value, self.Object) else value


class UpperCol(models.expressions.Col):
    """Reads a column by way of an expression."""

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        """Return the expression."""
        sql, params = super().as_sql(compiler, connection)
        return f"UPPER({sql})", params


class UpperField(models.TextField):
    """Is selected through an expression, as columns are that the database encrypts; stores small letters."""

    def get_col(self, alias: str, output_field: Any = None) -> Any:
        """Return the expression."""
        return UpperCol(alias, self, output_field or self)

    @property
    def cached_col(self) -> Any:
        """Return the expression."""
        return UpperCol(self.model._meta.db_table, self)

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        """Return what is written."""
        return None if value is None else str(value).lower()


class Spoken:
    """Gives another attribute's value, as translated fields do."""

    def __init__(self, name: str, other: str) -> None:
        self.name, self.other = name, other

    def __get__(self, instance: Any, owner: Any) -> Any:
        """Return the other's value."""
        return self if instance is None else getattr(instance, self.other)

    def __set__(self, instance: Any, value: Any) -> None:
        """Keep what a row brings."""
        instance.__dict__[self.name] = value


class SpokenField(models.CharField):
    """Its column takes what its attribute gives."""

    def __init__(self, *args: Any, other: str = "name", **more: Any) -> None:
        self.other = other
        super().__init__(*args, **more)

    def contribute_to_class(self, cls: Any, name: str, private_only: bool = False) -> None:
        """Put its own attribute in the place of Django's."""
        super().contribute_to_class(cls, name, private_only)
        setattr(cls, name, Spoken(name, self.other))
