"""Sections of a form that are folded away until they hold something: a setting of their own, or an error.

Django's own ``collapse`` class folds them always, and does not look for errors at fields that share a line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib.admin.helpers import InlineAdminFormSet
from django.contrib.admin.utils import flatten

Fieldset = tuple[Any, dict[str, Any]]
#: What a display method of a column is called here: ``for_each_shown`` shows ``for_each``.
SHOWN = "_shown"


def unfolded(fieldsets: Iterable[Fieldset], form: Any) -> list[Fieldset]:
    """The sections as they are drawn for this form: those that hold something lose their ``collapse``."""
    return [(name, _drawn(options, form)) for name, options in fieldsets]


def _drawn(options: dict[str, Any], form: Any) -> dict[str, Any]:
    classes = options.get("classes", ())
    if "collapse" not in classes or not any(holds(form, name) for name in flatten(options["fields"])):
        return options
    return {**options, "classes": tuple(css_class for css_class in classes if css_class != "collapse")}


def holds(form: Any, name: str) -> bool:
    """Whether something is wrong with the field, or is set that is not what it always is."""
    if name in form.errors:
        return True
    name = name.removesuffix(SHOWN)
    # Whoever may only view has a form whose fields know nothing of the object.
    typed = form.is_bound and name in form.fields
    value = form[name].value() if typed else getattr(form.instance, name)
    # A date and a time that are typed apart come as two texts.
    if value is None or value == "" or (isinstance(value, list) and not any(value)):
        return False
    return str(value) != str(_usual(form, name))


def _usual(form: Any, name: str) -> Any:
    """The form's own ``usual(name)``, or else the column's default."""
    if hasattr(form, "usual"):
        return form.usual(name)
    return form.instance._meta.get_field(name).get_default()


class UnfoldingFormSet(InlineAdminFormSet):
    """The rows of an inline, each with its own sections open."""

    @classmethod
    def of(cls, drawn: InlineAdminFormSet) -> UnfoldingFormSet:
        """Return Django's own rows, with the rights that it has drawn them by."""
        rights = {
            f"has_{right}_permission": getattr(drawn, f"has_{right}_permission")
            for right in ("add", "change", "delete", "view")
        }
        return cls(
            drawn.opts,
            drawn.formset,
            drawn.fieldsets,
            drawn.prepopulated_fields,
            drawn.readonly_fields,
            drawn.model_admin,
            **rights,
        )

    def __iter__(self) -> Iterator[Any]:
        for row in super().__iter__():
            row.fieldsets = unfolded(row.fieldsets, row.form)
            yield row
