"""How the rule set says that it has changed: a number in the database, and a signal in the process."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.db.models import F
from django.dispatch import Signal
from django.utils.translation import gettext_lazy as _

from rules_engine.databases.uncached import UncachedQuerySet


class RuleSetVersion(models.Model):
    """One row: a number that grows with each change to any rule. Every process compares it with its own."""

    number = models.BigIntegerField(default=0)

    objects: ClassVar[models.Manager[RuleSetVersion]] = UncachedQuerySet.as_manager()

    class Meta:
        verbose_name = _("rule set version")

    def __str__(self) -> str:
        return str(self.number)

    @classmethod
    def bump(cls, using: str | None = None) -> None:
        """Say that a rule changed, in the caller's transaction. Two editors wait for each other here, savers never."""
        rows = cls._default_manager.using(using)
        if not rows.filter(pk=1).update(number=F("number") + 1):
            rows.bulk_create([cls(pk=1, number=1)], ignore_conflicts=True)

    @classmethod
    def current(cls, using: str | None = None) -> int:
        """Return the number now; 0 before any rule was made."""
        return cls._default_manager.using(using).filter(pk=1).values_list("number", flat=True).first() or 0


#: Sent when rules have changed: by ``Rule`` or ``RuleAction``, with ``using``, and with ``instance`` and ``deleted``
#: where it was one row. Our own and not Django's ``post_save``, so that a site without rules has no receiver of ours
#: on any of Django's.
rules_changed = Signal()


class AnnouncingQuerySet(UncachedQuerySet[Any]):
    """Bulk changes send none of Django's signals, so they announce themselves."""

    def _announce(self) -> None:
        rules_changed.send(self.model, using=self.db, instance=None, deleted=False)

    def update(self, **values: Any) -> int:
        count = super().update(**values)
        self._announce()
        return count

    update.alters_data = True  # type: ignore[attr-defined]

    def bulk_create(self, objs: Any, *args: Any, **options: Any) -> list[Any]:
        made = super().bulk_create(objs, *args, **options)
        self._announce()
        return made

    def bulk_update(self, objs: Any, fields: Any, batch_size: int | None = None) -> int:
        count = super().bulk_update(objs, fields, batch_size)
        self._announce()
        return count

    def delete(self) -> tuple[int, dict[str, int]]:
        rows = list(self)
        done = super().delete()
        for row in rows:
            rules_changed.send(self.model, using=self.db, instance=row, deleted=True)
        return done

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]


class AnnouncingModel(models.Model):
    """A row whose every change is a change of the rule set, raw ones included.

    ``_save_table`` is the one step that ordinary saves and those of ``loaddata`` share: the latter call
    ``Model.save_base`` past any override. A test holds that Django still has it.
    """

    class Meta:
        abstract = True

    def _save_table(
        self,
        raw: bool = False,
        cls: Any = None,
        force_insert: bool = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Any = None,
    ) -> Any:
        updated = super()._save_table(raw, cls, force_insert, force_update, using, update_fields)  # type: ignore[misc]
        rules_changed.send(type(self), using=using, instance=self, deleted=False)
        return updated

    def delete(self, *args: Any, **options: Any) -> tuple[int, dict[str, int]]:
        done = super().delete(*args, **options)
        rules_changed.send(type(self), using=self._state.db, instance=self, deleted=True)
        return done
