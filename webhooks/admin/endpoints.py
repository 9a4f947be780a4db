"""Endpoints in the admin. No page, for nobody, shows a stored secret or header value."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from webhooks.admin import figures
from webhooks.admin.buttons import MARKS, ButtonsAdmin
from webhooks.admin.forms import EndpointForm
from webhooks.deliveries.chats import service_of
from webhooks.endpoints.breaker import state_of
from webhooks.endpoints.status import TROUBLE, status_of
from webhooks.errors import WebhookError
from webhooks.models import Endpoint, PayloadForm
from webhooks.models.choices import CHATS
from webhooks.signing.masking import masked_url
from webhooks.signing.signatures import public_key

#: Of a search.
MOST_WORDS, LONGEST_SEARCH = 20, 500


@admin.register(Endpoint)
class EndpointAdmin(ButtonsAdmin):
    """Where webhooks go."""

    form = EndpointForm
    change_form_template = "admin/webhooks/endpoint/change_form.html"
    list_display = ("name", "status", "success", "last_error", "host", "slug")
    list_display_links = ("name", "slug")
    list_select_related = ("state",)
    # It is asked of each row how its latest deliveries went.
    list_per_page = 50
    list_filter = ("enabled",)
    search_fields = ("slug", "name", "url", "description")
    prepopulated_fields = {"slug": ("name",)}
    readonly_fields = (
        "url_shown",
        "secret_state",
        "public_key",
        "certificate_state",
        "header_names",
        "previous_secret_expires_at",
        "created_at",
        "updated_at",
    )

    class Media:
        css = {"all": ["rules_engine/themes.css", "rules_engine/admin.css", "rules_engine/lists.css"]}
        js = ["rules_engine/lists.js"]

    def get_fieldsets(self, request: HttpRequest, obj: Endpoint | None = None) -> Any:
        may_write = self.has_add_permission(request) if obj is None else self.has_change_permission(request, obj)
        secret_fields: tuple[str, ...] = ()
        state: tuple[str, ...] = ()
        connection_fields: tuple[str, ...] = ("ca_certificates", "certificate_state", "verify_tls")
        if may_write:
            secret_fields = ("signing", "secret", "headers")
            connection_fields = ("ca_certificates", "client_certificate", "verify_tls")
        if may_write and obj is not None:
            secret_fields = ("secret", "generate_secret", "signing", "revoke_previous", "headers")
            connection_fields = (
                "ca_certificates",
                "certificate_state",
                "client_certificate",
                "remove_client_certificate",
                "verify_tls",
            )
        if obj is not None:
            state = ("created_at", "updated_at")
            secret_fields = ("secret_state", "public_key", "previous_secret_expires_at", "header_names", *secret_fields)
        limits = ("concurrency", ("rate_count", "rate_seconds"), "ordered")
        sending = ("payload_form", "schedule", *limits, "sends_traceparent")
        return [
            (None, {"fields": ("name", "slug", "description", "url" if may_write else "url_shown", "enabled", *state)}),
            (_("Sending"), {"fields": sending}),
            (_("Secrets"), {"fields": secret_fields}),
            (_("Secure connection"), {"fields": connection_fields, "classes": ("collapse",)}),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Endpoint]:
        rows = Endpoint.objects.select_related("state").annotate(trouble=TROUBLE)
        return rows.order_by(*self.get_ordering(request))

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Add to Django's how the deliveries of each endpoint of the page went."""
        changelist: Any = super().get_changelist_instance(request)
        percents = figures.list_percents(changelist.result_list)
        for endpoint in changelist.result_list:
            endpoint.percent = percents.get(endpoint.pk, "–")
        return changelist

    def get_ordering(self, request: HttpRequest) -> Any:
        return ("trouble", "slug")

    def get_search_fields(self, request: HttpRequest) -> Any:
        # Nor is a token guessed by what is found.
        return [name for name in self.search_fields if name != "url" or self.has_change_permission(request)]

    def get_list_display(self, request: HttpRequest) -> Any:
        # Nor by where the endpoint stands among others of its host.
        whole = super().get_list_display(request)
        may_change = self.has_change_permission(request)
        return whole if may_change else ["host_alone" if name == "host" else name for name in whole]

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        # Each word is a condition on several columns, and databases bound how deep and how long those may be.
        words = search_term[:LONGEST_SEARCH].split()
        return super().get_search_results(request, queryset, " ".join(words[:MOST_WORDS]))

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        return lookup.partition("__")[0] in self.list_filter and super().lookup_allowed(lookup, value, request)

    def get_prepopulated_fields(self, request: HttpRequest, obj: Endpoint | None = None) -> Any:
        # Rules name the slug, so it follows the name only while the endpoint is being made.
        return self.prepopulated_fields if obj is None else {}

    def save_model(self, request: HttpRequest, obj: Endpoint, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        service = service_of(obj.url)
        if service is not None and obj.payload_form not in CHATS:
            text = gettext("The address of “%(name)s” looks like one for %(what)s: choose that as its payload.")
            messages.warning(request, text % {"name": obj, "what": PayloadForm(service).label})
        if form.generated_secret:
            text = gettext("The signing secret of “%(name)s” is %(secret)s. Copy it now: it is not shown again.")
            messages.warning(request, text % {"name": obj, "secret": form.generated_secret})

    @admin.display(description=_("State"), ordering="trouble")
    def status(self, endpoint: Endpoint) -> SafeString:
        status = status_of(endpoint, timezone.now())
        return format_html('<span class="rules-state rules-state-{}">{}</span>', MARKS[status.name], status.label)

    @admin.display(description=_("Succeeded, 24 h"))
    def success(self, endpoint: Any) -> str:
        return str(endpoint.percent)

    @admin.display(description=_("Last error"))
    def last_error(self, endpoint: Endpoint) -> str:
        if not endpoint.enabled:
            return Truncator(endpoint.disabled_reason).chars(100)
        return Truncator(state_of(endpoint).last_error).chars(100)

    @admin.display(description=_("Host"), ordering="url")
    def host(self, endpoint: Endpoint) -> str:
        return endpoint.host

    @admin.display(description=_("Host"))
    def host_alone(self, endpoint: Endpoint) -> str:
        return endpoint.host

    @admin.display(description=_("URL"))
    def url_shown(self, endpoint: Endpoint) -> str:
        return masked_url(endpoint.url)

    @admin.display(description=_("Signing secret"))
    def secret_state(self, endpoint: Endpoint) -> str:
        try:
            secrets = endpoint.signing_secrets()
        except WebhookError as error:
            return str(error)
        return gettext("set, and the previous one is still used") if len(secrets) > 1 else gettext("set")

    @admin.display(description=_("Public key"))
    def public_key(self, endpoint: Endpoint) -> str:
        try:
            return public_key(str(endpoint.secret)) or gettext("none: deliveries are signed with a shared secret")
        except WebhookError as error:
            return str(error)

    @admin.display(description=_("Client certificate"))
    def certificate_state(self, endpoint: Endpoint) -> str:
        return gettext("set") if endpoint.has_client_certificate else gettext("none")

    @admin.display(description=_("Headers that are set"))
    def header_names(self, endpoint: Endpoint) -> str:
        try:
            return ", ".join(sorted(endpoint.headers)) or gettext("none")
        except WebhookError as error:
            return str(error)
