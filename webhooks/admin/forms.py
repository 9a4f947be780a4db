"""The endpoint's form: secrets go in and never come out."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from webhooks import conf
from webhooks.checks import missing_libraries
from webhooks.deliveries import replays
from webhooks.endpoints.schedules import ScheduleField, site_help
from webhooks.errors import EncryptionKeyError, MissingExtra
from webhooks.http import tls
from webhooks.http.destination import header_problems
from webhooks.models import ROTATION_OVERLAP, Endpoint
from webhooks.signing.signatures import generate_key_pair, generate_secret, secret_problem

if TYPE_CHECKING:
    _EndpointModelForm = forms.ModelForm[Endpoint]
else:
    _EndpointModelForm = forms.ModelForm


NO_OVERLAP = timedelta(0)
#: Characters of the JSON of an endpoint's own headers: their most, each as long as servers take it, and more.
LONGEST_HEADERS = 64 * 1024


class EndpointForm(_EndpointModelForm):
    """``secret`` and ``headers`` are always drawn empty; left empty, what is stored stays.

    ``generated_secret`` is the new secret after a save that made one, to be shown this once, else empty.
    """

    secret = forms.CharField(
        label=_("Signing secret"),
        required=False,
        strip=True,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("Never shown again. Empty: the stored one is kept, and a new endpoint is given a new one."),
    )
    generate_secret = forms.BooleanField(
        label=_("Generate a new secret"),
        required=False,
        help_text=_("The new secret is shown once. Deliveries are signed with the old one too for 24 hours."),
    )
    signing = forms.ChoiceField(
        label=_("Sign with"),
        required=False,
        choices=[
            ("v1", _("a secret that the receiver has too (HMAC-SHA256)")),
            ("v1a", _("a key pair, of which the receiver needs the public key (ed25519)")),
        ],
        help_text=_("The kind of secret that is generated."),
    )
    revoke_previous = forms.BooleanField(
        label=_("Revoke the old secret at once"),
        required=False,
        help_text=_("No overlap: sign with the current secret only, starting now."),
    )
    headers = forms.CharField(
        label=_("Headers"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "autocomplete": "off"}),
        help_text=_(
            'Never shown again. A JSON object such as {"Authorization": "Bearer …"} replaces all that are stored, '
            "{} removes them, and empty keeps them."
        ),
    )

    client_certificate = forms.CharField(
        label=_("Client certificate"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "autocomplete": "off", "spellcheck": "false"}),
        help_text=_(
            "Never shown again. For mutual TLS: the certificate and its private key, both in PEM. Empty: what is "
            "stored is kept."
        ),
    )
    remove_client_certificate = forms.BooleanField(label=_("Remove the client certificate"), required=False)

    schedule = ScheduleField(
        label=_("Retry schedule"), required=False, widget=forms.TextInput(attrs={"class": "vTextField"})
    )

    generated_secret: str = ""

    class Meta:
        model = Endpoint
        # Drawn by the fields above; without this the form would be filled with what is stored.
        exclude = ("secret", "headers", "client_certificate")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "schedule" in self.fields:
            self.fields["schedule"].help_text = site_help(conf.retry_schedule())

    def clean_secret(self) -> str:
        secret: str = self.cleaned_data["secret"]
        if secret and (problem := secret_problem(secret)) is not None:
            raise ValidationError(problem)
        return secret

    def clean_client_certificate(self) -> str:
        pem: str = self.cleaned_data["client_certificate"]
        if pem and (problem := tls.client_problem(pem)) is not None:
            raise ValidationError(problem)
        return pem

    def clean_headers(self) -> dict[str, str] | None:
        text: str = self.cleaned_data["headers"].strip()
        if not text:
            return None
        if len(text) > LONGEST_HEADERS:
            said = _("The headers are %(count)s characters long; at most %(most)s are allowed.")
            raise ValidationError(said % {"count": len(text), "most": LONGEST_HEADERS})
        try:
            headers = json.loads(text)
        except (ValueError, RecursionError) as error:
            said = _('The headers are not JSON: %s. Write an object such as {"Authorization": "Bearer …"}.')
            raise ValidationError(said % error) from None
        if problems := header_problems(headers):
            raise ValidationError(problems)
        assert isinstance(headers, dict)  # noqa: S101 - header_problems() has seen to it
        return headers

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("secret") and cleaned.get("generate_secret"):
            self.add_error("generate_secret", _("Give a secret or have one generated, not both."))
        if self._seals(cleaned) and "cryptography" in missing_libraries():
            self.add_error(None, str(MissingExtra("cryptography")))
        if not self.errors:
            self._take_secret(cleaned)
            if cleaned.get("headers") is not None:
                self.instance.headers = cleaned["headers"]
            if cleaned.get("client_certificate") or cleaned.get("remove_client_certificate"):
                self.instance.client_certificate = cleaned.get("client_certificate", "")
        return cleaned

    def _seals(self, cleaned: dict[str, Any]) -> bool:
        """Tell whether the save has to encrypt something."""
        sealing = ("secret", "generate_secret", "headers", "client_certificate")
        return self.instance._state.adding or any(cleaned.get(name) for name in sealing)

    def _take_secret(self, cleaned: dict[str, Any]) -> None:
        typed: str = cleaned.get("secret", "")
        revoke = bool(cleaned.get("revoke_previous"))
        if typed or self.instance._state.adding or cleaned.get("generate_secret"):
            if not typed:
                generate = generate_key_pair if cleaned.get("signing") == "v1a" else generate_secret
                self.generated_secret = generate()
            self._set_secret(typed or self.generated_secret, revoke=revoke)
        elif revoke:
            self.instance.previous_secret, self.instance.previous_secret_expires_at = "", None

    def _set_secret(self, secret: str, *, revoke: bool) -> None:
        if self.instance._state.adding:
            self.instance.secret = secret
            return
        try:
            self.instance.rotate_secret(secret, overlap=NO_OVERLAP if revoke else ROTATION_OVERLAP)
        except EncryptionKeyError:
            # The key is lost, and with it the old secret: there is nothing left to overlap with.
            self.instance.rotate_secret(secret, overlap=NO_OVERLAP)


class MomentField(forms.CharField):
    """A point in time as the command takes it: an age, or a date."""

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        try:
            return replays.moment(text) if text else None
        except ValueError as error:
            raise ValidationError(str(error)) from None


class ReplayForm(forms.Form):
    """Which deliveries are to be sent again."""

    since = MomentField(label=_("Recorded since"), help_text=_("30m, 2h, 3d, or a date or time."))
    until = MomentField(label=_("Recorded until"), required=False, help_text=_("Empty: until now."))
    status = forms.ChoiceField(
        label=_("How they did"),
        choices=[
            ("failed", _("failed: discarded, cancelled or refused, and those being retried")),
            ("failing", _("being retried: failed, and tried again by itself later")),
            ("discarded", _("discarded: given up after the last attempt")),
            ("cancelled", _("cancelled: the endpoint or the rule was disabled")),
            ("succeeded", _("succeeded")),
            ("all", _("all that ended")),
        ],
    )
    error_kind = forms.CharField(
        label=_("Error of the last attempt"),
        required=False,
        help_text=_("Empty: any. A status such as 503 or 5xx, or one of dns, connect, tls, timeout, protocol."),
    )

    @classmethod
    def first(cls) -> dict[str, Any]:
        """Give what stands in the form when it is opened, as if somebody had sent it."""
        return {"since": "1d", "until": "", "status": "failed", "error_kind": ""}

    def clean_error_kind(self) -> str:
        text: str = self.cleaned_data["error_kind"]
        try:
            replays.error_detail(text)
        except ValueError as error:
            raise ValidationError(str(error)) from None
        return text

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        since, until = cleaned.get("since"), cleaned.get("until")
        if since is not None and until is not None and since >= until:
            self.add_error("until", _("The window ends before it begins."))
        return cleaned
