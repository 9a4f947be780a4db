"""One stored file by the name that a row had for it: whether it is a plain name, who else uses it, and its removal."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import FileSystemStorage, Storage
from django.core.files.utils import validate_file_name
from django.db import models, router
from django.utils.translation import gettext

from rules_engine.errors import Refused, TransientError

FileField = models.FileField


def permit(name: str) -> None:
    """Raise ``Refused`` for a name that is not written the one way in which every row would write it.

    ``cv/./ada.pdf`` is the file of the row that has ``cv/ada.pdf``, and a search for the first would not find that row.
    """
    try:
        validate_file_name(name, allow_relative_path=True)
    except SuspiciousFileOperation as error:
        message = gettext("The stored name %(name)s leads out of its storage, or to no file.")
        raise Refused(message % {"name": repr(name)}) from error
    if "\\" in name or name != posixpath.normpath(name):
        message = gettext("The stored name %(name)s is no plain path, such as %(plain)s.")
        raise Refused(message % {"name": repr(name), "plain": repr(posixpath.normpath(name))})


def user_of(field: FileField, name: str) -> str:
    """Say which field of which model has a row with that file, as ``"shop.product.image"``; empty when none has.

    Every file field of the site is asked whose storage may be the same: one query each, until one says yes. The file
    that is a field's default is in use by every row to come.
    """
    for model, other in _file_fields():
        known_as = _name_in(other.storage, field.storage, name)
        if known_as is None:
            continue
        label = f"{model._meta.label_lower}.{other.name}"
        if known_as in _defaults(other):
            return f"{label}, as its default"
        # Not by a manager: one may hide rows, and what is hidden has its file all the same.
        rows: models.QuerySet[Any] = models.QuerySet(model, using=router.db_for_write(model))
        if rows.filter(**{other.name: known_as}).exists():
            return label
    return ""


def _file_fields() -> Iterator[tuple[type[models.Model], FileField]]:
    for model in apps.get_models(include_auto_created=True):
        if not model._meta.proxy:
            yield from ((model, field) for field in model._meta.local_concrete_fields if isinstance(field, FileField))


def _defaults(field: FileField) -> tuple[str, ...]:
    """Return the names of files that a row has for which none is given."""
    by_database = getattr(field, "db_default", None)
    values = (field.get_default() if field.has_default() else None, getattr(by_database, "value", by_database))
    return tuple(str(value) for value in values if isinstance(value, str) and value)


def _name_in(other: Storage, storage: Storage, name: str) -> str | None:
    """Return the name by which the other storage has the file; None where it cannot have it.

    Of storages nothing is known but where they keep things, and of some not even that: a file that is left behind is
    better than one that is lost.
    """
    folder, other_folder = _folder(storage), _folder(other)
    if folder is None or other_folder is None or folder == other_folder:
        return name
    path = posixpath.normpath(posixpath.join(folder, name))
    if other_folder == "/":
        return path.lstrip("/")
    return path.removeprefix(f"{other_folder}/") if path.startswith(f"{other_folder}/") else None


def _folder(storage: Any) -> str | None:
    """Return the folder of files, by its real path, so that one folder within another is seen."""
    return posixpath.realpath(storage.location) if isinstance(storage, FileSystemStorage) else None


def remove(field: FileField, name: str) -> bool:
    """Delete the file from the field's storage; False when it is not there. ``permit`` the name first.

    Raises ``Refused`` for a name that the storage itself finds suspicious, ``TransientError`` when it cannot be used.
    """
    try:
        if not field.storage.exists(name):
            return False
        field.storage.delete(name)
    except SuspiciousFileOperation as error:
        raise Refused(gettext("The storage does not take the name %(name)s.") % {"name": repr(name)}) from error
    except OSError as error:
        message = gettext("The file %(name)s could not be deleted: %(error)s")
        raise TransientError(message % {"name": repr(name), "error": error}) from error
    return True
