"""The audit trail: read and searched, never edited."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.readonly import ReadOnlyAdmin
from rules_engine.admin.rendering import json_block, link, object_link, page_url, table, text_block
from rules_engine.models import AuditEntry


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Who did what to which object."""

    list_display = ("at", "operation", "object_shown", "actor_name", "changed", "rule_slug")
    list_display_links = ("at", "operation")
    list_filter = ("operation",)
    date_hierarchy = "at"
    search_fields = ("object_pk", "object_text", "model", "actor_name", "actor_id", "request_id", "rule_slug", "note")
    search_help_text = _("Searches objects, actors, requests, rules and notes, and names of fields in full.")
    fields = (
        "at", "operation", "object_shown", "object_text", "actor_name", "actor_id", "request_id", "request_path",
        "note", "changes_shown", "fields_shown", "rule_slug", "rule_version", "event_shown", "created_at",
    )  # fmt: skip
    readonly_fields = ("object_shown", "changes_shown", "fields_shown", "event_shown")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        found, may_repeat = super().get_search_results(request, queryset, search_term)
        name = search_term.strip()
        if name and " " not in name and "\x00" not in name:
            found |= queryset.filter(Q(changes__has_key=name) | Q(fields__has_key=name))
        return found, may_repeat

    @admin.display(description=_("object"), ordering="object_pk")
    def object_shown(self, entry: AuditEntry) -> SafeString:
        return object_link(entry.model, entry.object_pk)

    @admin.display(description=_("changed"))
    def changed(self, entry: AuditEntry) -> str:
        return ", ".join(entry.changes) if isinstance(entry.changes, dict) else ""

    @admin.display(description=_("changes"))
    def changes_shown(self, entry: AuditEntry) -> SafeString:
        changes = entry.changes
        if not isinstance(changes, dict) or not all(isinstance(one, dict) for one in changes.values()):
            return json_block(changes)
        rows = [(name, json_block(one.get("old")), json_block(one.get("new"))) for name, one in changes.items()]
        return table((_("field"), _("before"), _("after")), rows) if rows else text_block("")

    @admin.display(description=_("fields"))
    def fields_shown(self, entry: AuditEntry) -> SafeString:
        return json_block(entry.fields)

    @admin.display(description=_("event"))
    def event_shown(self, entry: AuditEntry) -> SafeString:
        return link(page_url("event", entry.event_id) if entry.event_id else "", entry.event_id or "–")
