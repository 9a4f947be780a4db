"""A number that all processes count together. It only grows, and nothing that is forgotten makes it smaller."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import models, transaction
from django.db.models import Case, F, Value, When
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from rules_engine.databases import database_of
from rules_engine.databases.uncached import UncachedQuerySet

#: A number's name, and the values of its labels: the first is the one of which there may be many.
Key = tuple[str, tuple[str, ...]]
#: Rows that are written by one statement.
BATCH = 200
#: What stands for all first labels beyond the most that are told apart. No slug has brackets.
OTHERS = "(other)"


def digest_of(key: Key) -> uuid.UUID:
    """Return the primary key of a number: databases disagree on which texts are equal."""
    text = "\0".join((key[0], *key[1])).encode("utf-8", "surrogatepass")
    # Of a version, for MariaDB refuses some that have none.
    return uuid.UUID(bytes=hashlib.blake2b(text, digest_size=16).digest(), version=5)


class TallyQuerySet(UncachedQuerySet["Tally"]):
    """Verbs of the numbers."""

    def add(self, counts: Mapping[Key, int], most_labels: int) -> None:
        """Add these counts, all or none: three statements for so many numbers, one more where some are new.

        Of first labels no more than ``most_labels`` have rows of their own. The rows are locked in the order of their
        keys, so that two processes wait for each other at most.
        """
        items = sorted(counts.items())
        for start in range(0, len(items), BATCH):
            with transaction.atomic(using=self.db):
                database_of(self.db).begin_as_writer(Tally, self.db)
                self._add(dict(items[start : start + BATCH]), most_labels)

    def _add(self, counts: Mapping[Key, int], most_labels: int) -> None:
        known = self._locked(counts)
        if len(known) < len(counts):
            counts = self._bounded(counts, known, most_labels)
            new = [Tally(digest=digest_of(key), name=key[0], labels=list(key[1])) for key in counts if key not in known]
            self.bulk_create(new, ignore_conflicts=True)
            self._locked(counts)
        amounts = [When(digest=digest_of(key), then=Value(amount)) for key, amount in counts.items()]
        more = Case(*amounts, default=Value(0), output_field=models.BigIntegerField())
        rows = self.filter(digest__in=[digest_of(key) for key in counts])
        rows.update(value=F("value") + more, counted_at=Now())

    def _locked(self, counts: Mapping[Key, int]) -> set[Key]:
        """Lock those of these that have a row, and say which they are."""
        by_digest = {digest_of(key): key for key in counts}
        rows = self.filter(digest__in=by_digest).order_by("digest").select_for_update()
        return {by_digest[digest] for digest in rows.values_list("digest", flat=True)}

    def _bounded(self, counts: Mapping[Key, int], known: set[Key], most_labels: int) -> dict[Key, int]:
        """Return the counts, those under the name for all others whose first label is one too many."""
        firsts: dict[str, set[str]] = {}
        bounded: dict[Key, int] = {}
        for (name, labels), amount in counts.items():
            if labels and (name, labels) not in known:
                if name not in firsts:
                    rows = self.filter(name=name).values_list("labels", flat=True)
                    firsts[name] = {row[0] for row in rows if row}
                if labels[0] not in firsts[name] and len(firsts[name] - {OTHERS}) >= most_labels:
                    labels = (OTHERS, *labels[1:])
                firsts[name].add(labels[0])
            bounded[name, labels] = bounded.get((name, labels), 0) + amount
        return bounded


class Tally(models.Model):
    """One such number."""

    digest = models.UUIDField(primary_key=True, editable=False)
    name = models.CharField(_("name"), max_length=100)
    labels: Any = models.JSONField(_("labels"))
    value = models.BigIntegerField(_("value"), default=0, db_default=0)
    counted_at = models.DateTimeField(_("last counted"), db_default=Now(), editable=False)

    objects = TallyQuerySet.as_manager()

    class Meta:
        verbose_name = _("tally")
        verbose_name_plural = _("tallies")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.name} {' '.join(self.labels)}"

    @property
    def key(self) -> tuple[str, Sequence[str]]:
        """The name and the labels' values."""
        return self.name, tuple(self.labels)
