"""How the rule set says that it has changed: a number in the database, what each number changed, and a signal in the
process.

Numbers come in the order of their commits: whoever takes one holds its row until the end of the transaction, and the
next editor waits. So a process that has seen one has seen all before it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from django.db import connections, models, router, transaction
from django.db.models import F
from django.db.models.sql.constants import LOUTER
from django.dispatch import Signal
from django.utils.translation import gettext_lazy as _

from rules_engine.databases.uncached import UncachedQuerySet

#: Rules that one change names. Of more it is said that any may have changed: reading all is quicker then.
MOST_NAMED = 500
#: Numbers of which it is kept what they changed. A process that is further behind reads all rules.
MOST_CHANGES = 1_000
#: Older ones are forgotten once in so many numbers, which spares most edits the statement.
FORGOTTEN_EVERY = 100
#: Columns that say which rule a row is, or belongs to; a row that is given another one touches two.
OWNERS = frozenset({"pk", "id", "rule", "rule_id"})


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
        """Say that any rule may have changed, in the caller's transaction. Two editors wait for each other here, savers
        never."""
        with changing(using) as touched:
            touched.may_be_any()

    @classmethod
    def advance(cls, using: str | None) -> None:
        """Move the number on and keep its row until the transaction ends."""
        rows = cls._default_manager.using(using)
        if not rows.filter(pk=1).update(number=F("number") + 1):
            # Where two make the row, the second waits for the first and moves on from its number.
            rows.bulk_create([cls(pk=1, number=0)], ignore_conflicts=True)
            rows.filter(pk=1).update(number=F("number") + 1)

    @classmethod
    def current(cls, using: str | None = None) -> int:
        """Return the number now; 0 before any rule was made."""
        return cls._default_manager.using(using).filter(pk=1).values_list("number", flat=True).first() or 0


class RuleSetChange(models.Model):
    """What came with a number of the rule set, so that a process reads just the rules that changed since its own.

    A number without one was given by an older release. No constraint keeps a number from coming twice, as after a
    restored backup: who reads does not trust such numbers, and nobody is kept from editing rules.
    """

    number = models.BigIntegerField(db_index=True)
    #: The keys of the rules; null where any may have changed.
    rules = models.JSONField(null=True)
    #: Made up anew for each, so that a number that was given twice is told apart.
    stamp = models.CharField(max_length=32)

    objects: ClassVar[models.Manager[RuleSetChange]] = UncachedQuerySet.as_manager()

    class Meta:
        verbose_name = _("rule set change")

    def __str__(self) -> str:
        return str(self.number)

    @classmethod
    def note(cls, touched: Touched, using: str | None) -> None:
        """Write down what the number that this transaction has given changed."""
        number = RuleSetVersion.current(using)
        rows = cls._default_manager.using(using)
        rows.bulk_create([cls(number=number, rules=touched.named, stamp=uuid.uuid4().hex)])
        if number % FORGOTTEN_EVERY == 0:
            rows.filter(number__lte=number - MOST_CHANGES).delete()


class Touched:
    """The rules that one change touches, by their keys."""

    def __init__(self) -> None:
        self._keys: set[Any] | None = set()

    def add(self, keys: Iterable[Any]) -> None:
        """Add rules; one without a key may be any, for nobody knows what the database made of it."""
        if self._keys is not None:
            self._keys.update(keys)
            if None in self._keys:
                self._keys = None

    def may_be_any(self) -> None:
        """Say that it is not known which they are."""
        self._keys = None

    @property
    def named(self) -> list[Any] | None:
        """Return their keys; None where they may be any, or are too many to be named."""
        return None if self._keys is None or len(self._keys) > MOST_NAMED else sorted(self._keys)


@contextmanager
def changing(using: str | None) -> Iterator[Touched]:
    """Change rules in the block, all of it or nothing, under one new number; the block says which."""
    # Where rows are not locked by one, writers wait for each other anyway, and must begin by writing: SQLite refuses to
    # let a transaction write that has read what another has changed since. Elsewhere the number comes last: whoever
    # holds it waits for no row that another editor has.
    using = using or router.db_for_write(RuleSetVersion)
    is_first = not connections[using].features.has_select_for_update
    with transaction.atomic(using=using):
        touched = Touched()
        if is_first:
            RuleSetVersion.advance(using)
        yield touched
        if not is_first:
            RuleSetVersion.advance(using)
        RuleSetChange.note(touched, using)


#: Sent when rules have changed: by ``Rule`` or ``RuleAction``, with ``using``, and with ``instance`` and ``deleted``
#: where it was one row. Our own and not Django's ``post_save``, so that a site without rules has no receiver of ours
#: on any of Django's.
rules_changed = Signal()


class AnnouncingQuerySet(UncachedQuerySet[Any]):
    """Bulk changes send none of Django's signals, so they announce themselves."""

    def _announce(self) -> None:
        rules_changed.send(self.model, using=self.db, instance=None, deleted=False)

    def update(self, **values: Any) -> int:
        self._for_write = True
        with changing(self.db) as touched:
            rows = self._to_be_updated(values, touched)
            count = super(AnnouncingQuerySet, rows).update(**values)
        self._announce()
        return count

    update.alters_data = True  # type: ignore[attr-defined]

    def _to_be_updated(self, values: Mapping[str, Any], touched: Touched) -> AnnouncingQuerySet:
        """Say whose rows these are, and return them: held, so that it is just these that change."""
        owner = self.model.rule_key
        if owner is None:
            return self
        if not self._can_be_held() or not OWNERS.isdisjoint(values):
            touched.may_be_any()
            return self
        held = list(self.order_by("pk").select_for_update().values_list("pk", owner)[: MOST_NAMED + 1])
        if len(held) > MOST_NAMED:
            touched.may_be_any()
            return self
        touched.add(rule for _, rule in held)
        return self.filter(pk__in=[pk for pk, _ in held])

    def _can_be_held(self) -> bool:
        """Say whether a database that locks rows lets these be locked as they were asked for."""
        query = self.query
        joins = (join for alias, join in query.alias_map.items() if query.alias_refcount[alias])
        is_outer = any(getattr(join, "join_type", None) == LOUTER for join in joins)
        return not (is_outer or query.combinator or query.group_by is not None or query.distinct or query.is_sliced)

    def bulk_create(self, objs: Any, *args: Any, **options: Any) -> list[Any]:
        self._for_write = True
        with changing(self.db) as touched:
            made = super().bulk_create(objs, *args, **options)
            touched.add(key for row in made for key in row.rules_touched())
            if options.get("update_conflicts"):
                touched.may_be_any()
        self._announce()
        return made

    def bulk_update(self, objs: Any, fields: Any, batch_size: int | None = None) -> int:
        self._for_write = True
        with changing(self.db) as touched:
            rows = list(objs)
            count = super().bulk_update(rows, fields, batch_size)
            touched.add(key for row in rows for key in row.rules_touched())
        self._announce()
        return count

    def delete(self) -> tuple[int, dict[str, int]]:
        self._for_write = True
        with changing(self.db) as touched:
            # Without what joins a row that may be none, which cannot be held.
            plain = self.select_related(None).order_by("pk")
            rows = list(plain.select_for_update() if self._can_be_held() else self)
            touched.add(key for row in rows for key in row.rules_touched())
            doomed = self
            if not self._can_be_held():
                touched.may_be_any()
            elif len(rows) <= MOST_NAMED:
                # No others, that came meanwhile: it was not said whose they are.
                doomed = self.filter(pk__in=[row.pk for row in rows])
            done = super(AnnouncingQuerySet, doomed).delete()
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

    #: The column that says which rule a row is, or belongs to; None where rows change what no rule says.
    rule_key: ClassVar[str | None] = None

    class Meta:
        abstract = True

    def rules_touched(self) -> list[Any]:
        """Return the key of the rule that the row is, or belongs to, if any."""
        return [] if self.rule_key is None else [getattr(self, self.rule_key)]

    def _rules_touched_before(self, using: str | None) -> list[Any]:
        """Return whose the stored row is, where that may be another rule; the row is held."""
        rows = type(self)._default_manager.using(using).filter(pk=self.pk).select_for_update()
        return list(rows.values_list(self.rule_key, flat=True)) if self.rule_key == "rule_id" and self.pk else []

    def _save_table(
        self,
        raw: bool = False,
        cls: Any = None,
        force_insert: bool = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Any = None,
    ) -> Any:
        with changing(using) as touched:
            touched.add(self._rules_touched_before(using))
            updated = super()._save_table(raw, cls, force_insert, force_update, using, update_fields)  # type: ignore[misc]
            touched.add(self.rules_touched())
        rules_changed.send(type(self), using=using, instance=self, deleted=False)
        return updated

    def delete(self, *args: Any, **options: Any) -> tuple[int, dict[str, int]]:
        with changing(self._state.db) as touched:
            touched.add(self._rules_touched_before(self._state.db))
            touched.add(self.rules_touched())
            done = super().delete(*args, **options)
        rules_changed.send(type(self), using=self._state.db, instance=self, deleted=True)
        return done
