"""Endpoints in the admin. No page, for nobody, shows a stored secret or header value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from webhooks.errors import EncryptionKeyError
from webhooks.forms import EndpointForm
from webhooks.models import Endpoint

if TYPE_CHECKING:
    _EndpointModelAdmin = admin.ModelAdmin[Endpoint]
else:
    _EndpointModelAdmin = admin.ModelAdmin


@admin.register(Endpoint)
class EndpointAdmin(_EndpointModelAdmin):
    """Where webhooks go."""

    form = EndpointForm
    list_display = ("name", "slug", "host", "enabled", "disabled_reason", "updated_at")
    list_display_links = ("name", "slug")
    list_filter = ("enabled",)
    search_fields = ("slug", "name", "url", "description")
    prepopulated_fields = {"slug": ("name",)}
    readonly_fields = (
        "disabled_reason",
        "secret_state",
        "header_names",
        "previous_secret_expires_at",
        "created_at",
        "updated_at",
    )

    def get_fieldsets(self, request: HttpRequest, obj: Endpoint | None = None) -> Any:
        may_write = self.has_add_permission(request) if obj is None else self.has_change_permission(request, obj)
        secret_fields: tuple[str, ...] = ()
        state: tuple[str, ...] = ()
        if may_write:
            secret_fields = ("secret", "headers")
        if may_write and obj is not None:
            secret_fields = ("secret", "generate_secret", "revoke_previous", "headers")
        if obj is not None:
            state = ("disabled_reason", "created_at", "updated_at")
            secret_fields = ("secret_state", "previous_secret_expires_at", "header_names", *secret_fields)
        return [
            (None, {"fields": ("name", "slug", "description", "url", "enabled", *state)}),
            (_("Secrets"), {"fields": secret_fields}),
        ]

    def get_prepopulated_fields(self, request: HttpRequest, obj: Endpoint | None = None) -> Any:
        # Rules name the slug, so it follows the name only while the endpoint is being made.
        return self.prepopulated_fields if obj is None else {}

    def save_model(self, request: HttpRequest, obj: Endpoint, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if form.generated_secret:
            text = gettext("The signing secret of “%(name)s” is %(secret)s. Copy it now: it is not shown again.")
            messages.warning(request, text % {"name": obj, "secret": form.generated_secret})

    @admin.display(description=_("Host"), ordering="url")
    def host(self, endpoint: Endpoint) -> str:
        return endpoint.host

    @admin.display(description=_("Signing secret"))
    def secret_state(self, endpoint: Endpoint) -> str:
        try:
            secrets = endpoint.signing_secrets()
        except EncryptionKeyError as error:
            return str(error)
        return gettext("set, and the previous one is still used") if len(secrets) > 1 else gettext("set")

    @admin.display(description=_("Headers that are set"))
    def header_names(self, endpoint: Endpoint) -> str:
        try:
            return ", ".join(sorted(endpoint.headers)) or gettext("none")
        except EncryptionKeyError as error:
            return str(error)
