"""Rows that are added and neither changed nor removed by any ordinary way of Django's: audit entries and their seals.

Each refusal stands as deep as Django's public ways lead: instances, however they were made, end in ``_do_update``;
querysets and managers, the base manager included, in the methods below; cascades in ``pre_delete``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn, TypeVar

from django.db import models, router
from django.db.models.signals import pre_delete

from rules_engine.databases.prepared.inserts import insert
from rules_engine.databases.uncached import UncachedQuerySet
from rules_engine.errors import RulesEngineError

Row = TypeVar("Row", bound=models.Model)


class AuditTrailProtected(RulesEngineError):
    """Audit entries and their seals cannot be changed or deleted; RULES_ENGINE["AUDIT_RETENTION_DAYS"] sets how long
    entries are kept, and manage.py rules_erase removes those of one object."""

    def __init__(self) -> None:
        super().__init__(" ".join(str(self.__doc__).split()))


class AppendOnlyQuerySet(UncachedQuerySet[Row]):
    """Rows can be read and added."""

    def add(self, *rows: Row) -> None:
        """Insert rows. No signal is sent: what a receiver of the site's raises about all models costs no row."""
        if len(rows) < 2:
            super().bulk_create(rows)
            return
        self._for_write = True
        using = self.db
        fields = self.model._meta.concrete_fields
        names = [field.attname for field in fields if field.has_default() or not field.has_db_default()]
        insert(self.model, [{name: getattr(row, name) for name in names} for row in rows], using)

    def bulk_create(self, objs: Iterable[Row], *args: Any, **options: Any) -> list[Row]:
        """Insert rows that are not there. Raises ``AuditTrailProtected`` for one that is, whatever it is to do."""
        rows = list(objs)
        if args[1:] or options.get("ignore_conflicts") or options.get("update_conflicts"):
            raise AuditTrailProtected
        if self.filter(pk__in=[row.pk for row in rows]).exists():
            raise AuditTrailProtected
        return super().bulk_create(rows, *args, **options)

    def _insert(self, objs: Any, fields: Any, **options: Any) -> Any:
        if options.get("on_conflict") is not None:
            raise AuditTrailProtected
        inserted: Any = super()._insert(objs, fields, **options)  # type: ignore[misc]
        return inserted

    def update(self, **values: Any) -> NoReturn:
        raise AuditTrailProtected

    def _update(self, *args: Any, **options: Any) -> NoReturn:
        raise AuditTrailProtected

    def bulk_update(self, *args: Any, **options: Any) -> NoReturn:
        raise AuditTrailProtected

    def delete(self) -> NoReturn:
        raise AuditTrailProtected

    def _raw_delete(self, using: str | None) -> NoReturn:
        raise AuditTrailProtected


class AppendOnly(models.Model):
    """A row that can be added."""

    class Meta:
        abstract = True

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # Also for a site's proxy with a manager of its own: Django's collector asks before it removes.
        pre_delete.connect(_refuse_removal, sender=cls, dispatch_uid=f"{cls.__module__}.{cls.__name__}")

    def save(self, *args: Any, using: str | None = None, **options: Any) -> None:
        """Insert the row, without a signal. Raises ``AuditTrailProtected`` where it is there."""
        chosen = args[2] if len(args) > 2 else using
        rows: Any = type(self)._base_manager.using(chosen or router.db_for_write(type(self), instance=self))
        if not self._state.adding or rows.filter(pk=self.pk).exists():
            raise AuditTrailProtected
        rows.add(self)

    def delete(self, *args: Any, **options: Any) -> NoReturn:
        raise AuditTrailProtected

    def _do_update(self, base_qs: Any, using: Any, pk_val: Any, *args: Any, **options: Any) -> Any:
        # ``loaddata`` and ``save_base`` ask for an UPDATE first; nothing is there where an entry is put back.
        if base_qs.filter(pk=pk_val).exists():
            raise AuditTrailProtected
        return []

    def _do_insert(self, manager: Any, using: Any, *args: Any, **options: Any) -> Any:
        if manager.using(using).filter(pk=self.pk).exists():
            raise AuditTrailProtected
        return super()._do_insert(manager, using, *args, **options)  # type: ignore[misc]


def _refuse_removal(sender: Any, **_sent: Any) -> NoReturn:
    raise AuditTrailProtected
