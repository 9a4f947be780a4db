"""Where webhooks go."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from webhooks import conf
from webhooks.destination import checked_url, header_problems
from webhooks.errors import DestinationRefused, InvalidSecret
from webhooks.fields import EncryptedJSONField, EncryptedTextField
from webhooks.signing import generate_secret, key_of

#: How long deliveries stay signed with the old secret as well, so that the receiver can change over.
ROTATION_OVERLAP = timedelta(hours=24)


class EndpointQuerySet(models.QuerySet["Endpoint"]):
    """Endpoints, by what they are good for."""

    def get_by_natural_key(self, slug: str) -> Endpoint:
        """The endpoint with that slug; fixtures refer to endpoints by it."""
        return self.get(slug=slug)

    def enabled(self) -> EndpointQuerySet:
        """Those that deliveries may go to."""
        return self.filter(enabled=True)


class Endpoint(models.Model):
    """A receiver's address, with the secret that signs what is sent to it.

    Rules name an endpoint by its slug, so that URLs and secrets are never part of a rule.
    """

    slug = models.SlugField(_("slug"), max_length=100, unique=True, help_text=_("Rules name the endpoint by this."))
    name = models.CharField(_("name"), max_length=200)
    description = models.TextField(_("description"), blank=True, default="")
    url = models.CharField(
        _("URL"), max_length=2000, help_text=_("Where deliveries are posted, such as https://example.com/hooks.")
    )
    enabled = models.BooleanField(_("enabled"), default=True)
    disabled_reason = models.CharField(_("why it is disabled"), max_length=500, blank=True, default="", editable=False)
    secret = EncryptedTextField(
        _("signing secret"), default=generate_secret, help_text=_("“whsec_” and 24 to 64 bytes in base64.")
    )
    previous_secret = EncryptedTextField(_("previous signing secret"), blank=True, default="", editable=False)
    previous_secret_expires_at = models.DateTimeField(
        _("previous secret is used until"), null=True, blank=True, editable=False
    )
    headers = EncryptedJSONField(
        _("headers"), blank=True, default=dict, help_text=_("A JSON object of headers sent with each delivery.")
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    objects: ClassVar[models.Manager[Endpoint]] = EndpointQuerySet.as_manager()

    class Meta:
        verbose_name = _("endpoint")
        verbose_name_plural = _("endpoints")
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.name or self.slug

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Saves what passes ``clean``; raises ``ValidationError`` else, so that code is held to it like the admin."""
        self.clean()
        super().save(*args, **kwargs)
        if not self.enabled:
            self._cancel_waiting()

    def natural_key(self) -> tuple[str]:
        return (self.slug,)

    @property
    def host(self) -> str:
        """The host that deliveries go to, for lists and logs: paths and queries may hold tokens."""
        return urlsplit(self.url).hostname or ""

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        """Validates each field but the secrets that nobody touched: those need no key to stay as they are."""
        untouched = {name for name in ("secret", "previous_secret", "headers") if self._is_sealed(name)}
        super().clean_fields(exclude=untouched.union(exclude or ()))

    def clean(self) -> None:
        """Brings the URL to its canonical form and explains what is wrong with URL, secret and headers."""
        errors: dict[str, Any] = {}
        try:
            self.url = checked_url(self.url)
        except DestinationRefused as error:
            errors["url"] = str(error)
        try:
            if not self._is_sealed("secret"):
                key_of(str(self.secret))
        except InvalidSecret as error:
            errors["secret"] = str(error)
        if not self._is_sealed("headers") and (problems := header_problems(self.headers or {})):
            errors["headers"] = problems
        if errors:
            raise ValidationError(errors)
        if self.enabled:
            self.disabled_reason = ""

    def rotate_secret(self, new: str = "", *, overlap: timedelta = ROTATION_OVERLAP) -> str:
        """Take a new secret, keeping the old one valid beside it for ``overlap``; returns the new one, saves nothing.

        Without ``overlap`` the old secret is revoked at once, and need not be readable.
        """
        self.previous_secret = self.secret if overlap else ""
        self.previous_secret_expires_at = timezone.now() + overlap if overlap else None
        self.secret = new or generate_secret()
        return str(self.secret)

    def signing_secrets(self) -> list[str]:
        """The secrets to sign with now: the current one, and the previous one while it has not expired.

        Raises ``EncryptionKeyError``.
        """
        expires = self.previous_secret_expires_at
        overlapping = expires is not None and timezone.now() < expires
        return [self.secret, self.previous_secret] if overlapping and self.previous_secret else [self.secret]

    def disable(self, reason: str) -> None:
        """Switch it off and cancel what waits for it; needs no key. ``reason`` is shown in the admin."""
        now = timezone.now()
        type(self).objects.filter(pk=self.pk, enabled=True).update(
            enabled=False, disabled_reason=reason[:500], updated_at=now
        )
        self.enabled, self.disabled_reason = False, reason[:500]
        self._cancel_waiting()

    def _cancel_waiting(self) -> None:
        # Here, because the engine's own models may be loaded after these.
        from rules_engine import cancel

        cancel(f'The endpoint "{self.slug}" was disabled.', queue=conf.QUEUE, lane=self.slug)

    def _is_sealed(self, name: str) -> bool:
        field = self._meta.get_field(name)
        return isinstance(field, EncryptedTextField) and field.is_sealed(self)
