"""Where webhooks go."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models, router, transaction
from django.dispatch import Signal
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.sending import UncachedQuerySet
from webhooks import conf
from webhooks.errors import DestinationRefused, EncryptionKeyError, MissingExtra
from webhooks.http import tls
from webhooks.http.destination import checked_url, header_problems
from webhooks.models import lanes
from webhooks.models.choices import PayloadForm
from webhooks.models.fields import EncryptedJSONField, EncryptedTextField
from webhooks.models.schedule import schedule_problem
from webhooks.models.state import EndpointState, clean_state
from webhooks.signing.signatures import generate_like, generate_secret, secret_problem

#: How long deliveries stay signed with the old secret as well, so that the receiver can change over.
ROTATION_OVERLAP = timedelta(hours=24)
LONGEST_OVERLAP = timedelta(days=7)
LONGEST_REASON = 500
#: What a receiver tells us by: with another of these, a refusal may become a welcome.
CREDENTIALS = ("secret", "headers", "client_certificate")
#: Somebody has ended a pause, or enabled one that was disabled by itself: ``endpoint``, ``was_disabled``.
back_by_hand = Signal()


class EndpointQuerySet(UncachedQuerySet["Endpoint"]):
    """Endpoints, by what they are good for."""

    def get_by_natural_key(self, slug: str) -> Endpoint:
        """Give the endpoint with that slug; fixtures refer to endpoints by it. Raises ``Endpoint.DoesNotExist``."""
        return self.get(slug=slug)

    def enabled(self) -> EndpointQuerySet:
        """Keep those that deliveries may go to."""
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
    disabled_reason = models.CharField(
        _("why it is disabled"), max_length=LONGEST_REASON, blank=True, default="", editable=False
    )
    secret = EncryptedTextField(
        _("signing secret"),
        default=generate_secret,
        help_text=_("“whsec_” and 24 to 64 bytes in base64, or an ed25519 key that begins with “whsk_”."),
    )
    previous_secret = EncryptedTextField(_("previous signing secret"), blank=True, default="", editable=False)
    previous_secret_expires_at = models.DateTimeField(
        _("previous secret is used until"), null=True, blank=True, editable=False
    )
    headers = EncryptedJSONField(
        _("headers"), blank=True, default=dict, help_text=_("A JSON object of headers sent with each delivery.")
    )
    payload_form = models.CharField(
        _("payload"),
        max_length=20,
        choices=PayloadForm.choices,
        default=PayloadForm.WHOLE,
        help_text=_("How events are written. A rule's own payload stands in place of the data."),
        db_default=PayloadForm.WHOLE,
    )
    ca_certificates = models.TextField(
        _("certificates of authorities"),
        blank=True,
        default="",
        help_text=_("In PEM. The server's certificate must be by one of them; empty: by one that the site trusts."),
        db_default="",
    )
    client_certificate = EncryptedTextField(
        _("client certificate"),
        blank=True,
        default="",
        help_text=_("The certificate that deliveries show (mutual TLS) and its private key, both in PEM."),
        db_default="",
    )
    verify_tls = models.BooleanField(
        _("check the server's certificate"),
        default=True,
        help_text=_("Can be turned off only where the setting ALLOW_UNVERIFIED_TLS allows it."),
        db_default=True,
    )
    schedule = models.JSONField(
        _("retry schedule"),
        null=True,
        blank=True,
        help_text=_("Seconds before the second, third, … attempt, such as [5, 60, 3600]. Empty: the site's schedule."),
    )
    concurrency = models.PositiveIntegerField(
        _("at most so many at once"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("Deliveries in flight at the same time, whatever the number of workers."),
    )
    rate_count = models.PositiveIntegerField(
        _("at most so many deliveries"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    rate_seconds = models.PositiveIntegerField(
        _("in so many seconds"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    ordered = models.BooleanField(
        _("in order"),
        default=False,
        help_text=_("What concerns one object is delivered one by one; one that fails holds back those after it."),
        db_default=False,
    )
    sends_traceparent = models.BooleanField(
        _("tell of the trace"),
        default=True,
        db_default=True,
        help_text=_("Sends the header traceparent where traces are kept: the receiver's work becomes a part of them."),
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    objects: ClassVar[models.Manager[Endpoint]] = EndpointQuerySet.as_manager()

    class Meta:
        verbose_name = _("endpoint")
        verbose_name_plural = _("endpoints")
        ordering = ["slug"]
        permissions = [
            ("test_endpoint", _("Can send test deliveries")),
            ("replay_delivery", _("Can replay deliveries")),
        ]

    def __str__(self) -> str:
        return self.name or self.slug

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save what passes ``clean``. Raises ``ValidationError`` else, so that code is held to it like the admin."""
        self.clean()
        before = None if self._state.adding else type(self).objects.filter(pk=self.pk).first()
        # What it is now, and that people are told of it, stand or fall together.
        with transaction.atomic(using=router.db_for_write(type(self))):
            super().save(*args, **kwargs)
            if before is not None and self._is_mended(before):
                self.resume(was_disabled=bool(before.disabled_reason) and not before.enabled)
        if not self.enabled:
            self._cancel_waiting()

    def _is_mended(self, before: Endpoint) -> bool:
        """Tell whether what is saved is another address, another way of signing in, or enabled again."""
        if self.enabled and not before.enabled:
            return True
        return before.url != self.url or any(self._is_replaced(name, before) for name in CREDENTIALS)

    def _is_replaced(self, name: str, before: Endpoint) -> bool:
        if self._is_sealed(name):
            return False
        try:
            return bool(getattr(self, name) != getattr(before, name))
        except EncryptionKeyError:
            return True

    def resume(self, *, was_disabled: bool = False) -> None:
        """Have deliveries go out at once again, by hand. Who was told that it was paused, or ``was_disabled`` by
        itself, is told that it no longer is."""
        with transaction.atomic(using=router.db_for_write(EndpointState)):
            was_paused = self._forget_failures()
            if self.enabled and (was_paused or was_disabled):
                back_by_hand.send(sender=type(self), endpoint=self, was_disabled=was_disabled)

    def _forget_failures(self) -> bool:
        """Have a first failure count as the first. Returns whether it was paused: of two who end that, one is told."""
        rows = EndpointState.objects.using(router.db_for_write(EndpointState)).filter(pk=self.pk)
        was_paused = rows.filter(pauses__gt=0).update(**clean_state(), asked_until=None)
        if not was_paused:
            rows.update(**clean_state(), asked_until=None)
        return bool(was_paused)

    def retry_schedule(self) -> tuple[float, ...]:
        """Give the seconds before the second, third, … attempt."""
        own = self.schedule
        # Saving refuses a schedule that is none; after a fixture or an UPDATE the sender must not stumble over it.
        if own is None or schedule_problem(own) is not None:
            return conf.retry_schedule()
        return tuple(float(seconds) for seconds in own)

    def natural_key(self) -> tuple[str]:
        return (self.slug,)

    @property
    def host(self) -> str:
        """Give the host that deliveries go to, for lists and logs: paths and queries may hold tokens."""
        return urlsplit(self.url).hostname or ""

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        """Validate each field but the secrets that nobody touched: those need no key to stay as they are."""
        untouched = {name for name in ("previous_secret", *CREDENTIALS) if self._is_sealed(name)}
        super().clean_fields(exclude=untouched.union(exclude or ()))

    def clean(self) -> None:
        """Bring the URL to its canonical form. Raises ``ValidationError`` with what is wrong, by field."""
        errors = {
            **self._url_problems(),
            **self._credential_problems(),
            **self._tls_problems(),
            **self._pace_problems(),
        }
        if errors:
            raise ValidationError(errors)
        if self.enabled:
            self.disabled_reason = ""

    def _url_problems(self) -> dict[str, Any]:
        if not self.url:
            # That it is missing was said by the field.
            return {}
        try:
            self.url = checked_url(self.url)
        except (DestinationRefused, MissingExtra) as error:
            return {"url": str(error)}
        return {}

    def _credential_problems(self) -> dict[str, Any]:
        problems: dict[str, Any] = {}
        if not self._is_sealed("secret") and (problem := secret_problem(str(self.secret))) is not None:
            problems["secret"] = problem
        if not self._is_sealed("headers") and (of_headers := header_problems(self.headers or {})):
            problems["headers"] = of_headers
        return problems

    def _pace_problems(self) -> dict[str, Any]:
        problems: dict[str, Any] = {}
        if (problem := schedule_problem(self.schedule)) is not None:
            problems["schedule"] = problem
        if (self.rate_count is None) != (self.rate_seconds is None):
            missing = "rate_seconds" if self.rate_seconds is None else "rate_count"
            problems[missing] = gettext(
                "A rate has two parts: so many deliveries, in so many seconds. Give both, or neither."
            )
        elif self.rate_seconds is not None and self.rate_seconds > conf.LONGEST_WAIT_OF_SITE:
            problems["rate_seconds"] = gettext("A rate is in at most 31,622,400 seconds (366 days).")
        return problems

    def _tls_problems(self) -> dict[str, Any]:
        problems: dict[str, Any] = {}
        if self.ca_certificates and (problem := tls.authorities_problem(self.ca_certificates)) is not None:
            problems["ca_certificates"] = problem
        if not self._is_sealed("client_certificate") and self.client_certificate:
            problem = tls.client_problem(str(self.client_certificate))
            if problem is not None:
                problems["client_certificate"] = problem
        if not self.verify_tls and not conf.allow_unverified_tls():
            problems["verify_tls"] = gettext(
                "Whoever sits between could read and change what is sent. If that is all right here, the operator "
                'sets WEBHOOKS["ALLOW_UNVERIFIED_TLS"]; better is to give the certificate of its authority above.'
            )
        return problems

    def rotate_secret(self, new: str = "", *, overlap: timedelta = ROTATION_OVERLAP) -> str:
        """Take a new secret, keeping the old one valid beside it for ``overlap``; returns the new one, saves nothing.

        Without ``overlap`` the old secret is revoked at once, and need not be readable. Raises ``ValueError`` for one
        over a week or below zero.
        """
        if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
            raise ValueError(f"An overlap should be from nothing to {LONGEST_OVERLAP.days} days, and is {overlap}.")
        if overlap:
            new = new or generate_like(str(self.secret))
            self.previous_secret, self.previous_secret_expires_at = self.secret, timezone.now() + overlap
        else:
            self.previous_secret, self.previous_secret_expires_at = "", None
        self.secret = new or generate_secret()
        return str(self.secret)

    def signing_secrets(self) -> list[str]:
        """Give the secrets to sign with now: the current one, and the previous one while it has not expired.

        Raises ``EncryptionKeyError``.
        """
        expires = self.previous_secret_expires_at
        if expires is not None and timezone.now() < expires and self.previous_secret:
            return [self.secret, self.previous_secret]
        return [self.secret]

    def disable(self, reason: str) -> bool:
        """Switch it off and cancel what waits for it; needs no key. ``reason`` is shown in the admin.

        Returns whether it was on until now: of two workers that end it at once, one tells people.
        """
        self.enabled, self.disabled_reason = False, reason[:LONGEST_REASON]
        rows = type(self).objects.filter(pk=self.pk, enabled=True)
        was_on = rows.update(enabled=False, disabled_reason=self.disabled_reason, updated_at=timezone.now())
        # However it is enabled again, it then starts anew.
        self._forget_failures()
        self._cancel_waiting()
        return bool(was_on)

    def _cancel_waiting(self) -> None:
        # Here, because the engine's own models may be loaded after these.
        from rules_engine.sending import cancel

        for lane in lanes.counted(self.slug):
            cancel(f'The endpoint "{self.slug}" was disabled.', queue=conf.QUEUE, lane=lane)

    @property
    def has_client_certificate(self) -> bool:
        """Tell whether there is one; needs no key."""
        stored = self.__dict__.get("client_certificate")
        return bool(getattr(stored, "text", stored))

    def _is_sealed(self, name: str) -> bool:
        field = self._meta.get_field(name)
        return isinstance(field, EncryptedTextField) and field.is_sealed(self)
