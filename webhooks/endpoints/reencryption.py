"""Stored secrets, brought under the first key, so that an old key can be thrown away."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db import router, transaction
from django.db.models import F

from webhooks.errors import EncryptionKeyError
from webhooks.models import Endpoint
from webhooks.models.fields import EncryptedTextField, Sealed
from webhooks.signing import encryption


@dataclass(slots=True)
class Reencryption:
    """How many values were changed, how many needed no change, and what no key opens, as sentences."""

    changed: int = 0
    current: int = 0
    unreadable: list[str] = field(default_factory=list)


def reencrypt(*, dry_run: bool = False) -> Reencryption:
    """Encrypt every stored secret and header with the first key. One endpoint at a time, safe beside workers."""
    outcome = Reencryption()
    for pk in Endpoint.objects.order_by("slug").values_list("pk", flat=True):
        _reencrypt_endpoint(pk, outcome, dry_run=dry_run)
    return outcome


def _reencrypt_endpoint(pk: int, outcome: Reencryption, *, dry_run: bool) -> None:
    using = router.db_for_write(Endpoint)
    rows = Endpoint.objects.using(using).filter(pk=pk)
    columns = [field.attname for field in Endpoint._meta.concrete_fields if isinstance(field, EncryptedTextField)]
    with transaction.atomic(using=using):
        if not dry_run:
            # A lock that SQLite has as well: whoever edits the endpoint meanwhile waits, and is not overwritten.
            rows.update(slug=F("slug"))
        stored = rows.values("slug", *columns).first()
        if stored is None:  # deleted meanwhile
            return
        changed = {}
        for column in columns:
            value = stored[column]
            if not isinstance(value, Sealed) or not value.text:
                continue
            try:
                again = encryption.resealed(value.text)
            except EncryptionKeyError as error:
                outcome.unreadable.append(f"{stored['slug']}, {column}: {error}")
                continue
            if again is None:
                outcome.current += 1
            else:
                changed[column] = Sealed(again)
        outcome.changed += len(changed)
        if changed and not dry_run:
            rows.update(**changed)
