"""The audit trail: read and searched, never edited."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.parts.rendering import (
    UNSEEN,
    json_block,
    link,
    may_view,
    object_link,
    page_url,
    table,
    text_block,
)
from rules_engine.admin.parts.searching import SearchedAdmin, fields_named, labels_like, of_rules
from rules_engine.models import AuditEntry

#: What of an entry is the object's own data.
DATA = ("object_text", "note", "changes_shown", "fields_shown")


@admin.register(AuditEntry)
class AuditEntryAdmin(SearchedAdmin):
    """Who did what to which object."""

    list_display = ("at", "operation", "object_shown", "actor_name", "changed", "rule_slug")
    list_display_links = ("at", "operation")
    list_filter = ("operation",)
    date_hierarchy = "at"
    search_help_text = _(
        "A part of an object's or actor's name, a note, a rule or a model; in full: an object's or actor's key, a "
        "request's id, a field."
    )
    every_field = (
        "at", "operation", "object_shown", "object_text", "actor_name", "actor_id", "request_id", "request_path",
        "note", "changes_shown", "fields_shown", "rule_slug", "rule_version", "event_shown", "created_at",
    )  # fmt: skip
    readonly_fields = ("object_shown", "changes_shown", "fields_shown", "event_shown", "unseen")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None or may_view(request.user, obj.model):
            return self.every_field
        left = [name for name in self.every_field if name not in DATA]
        return (*left[: left.index("rule_slug")], "unseen", *left[left.index("rule_slug") :])

    def having(self, word: str) -> Q:
        """By object, actor, request, rule, and by the names of what was changed or recorded."""
        names = fields_named(word)
        keys = Q(object_pk=word) | Q(actor_id=word) | Q(request_id=word) | Q(model__in=labels_like(word))
        fields = Q(changes__has_any_keys=names) | Q(fields__has_any_keys=names)
        return keys | of_rules(word) | fields | Q(actor_name__icontains=word)

    def having_in_data(self, word: str) -> Q:
        """By what an object is called, and by the note."""
        return Q(object_text__icontains=word) | Q(note__icontains=word)

    @admin.display(description=_("changes"))
    def unseen(self, entry: AuditEntry) -> str:
        return str(UNSEEN)

    @admin.display(description=_("object"), ordering="object_pk")
    def object_shown(self, entry: AuditEntry) -> SafeString:
        return object_link(entry.model, entry.object_pk)

    @admin.display(description=_("changed"))
    def changed(self, entry: AuditEntry) -> str:
        return ", ".join(entry.changes) if isinstance(entry.changes, dict) else ""

    @admin.display(description=_("changes"))
    def changes_shown(self, entry: AuditEntry) -> SafeString:
        changes = entry.changes
        if not isinstance(changes, dict) or not all(isinstance(change, dict) for change in changes.values()):
            return json_block(changes)
        rows = [
            (name, json_block(change.get("old")), json_block(change.get("new"))) for name, change in changes.items()
        ]
        return table((_("field"), _("before"), _("after")), rows) if rows else text_block("")

    @admin.display(description=_("fields"))
    def fields_shown(self, entry: AuditEntry) -> SafeString:
        return json_block(entry.fields)

    @admin.display(description=_("event"))
    def event_shown(self, entry: AuditEntry) -> SafeString:
        return link(page_url("event", entry.event_id) if entry.event_id else "", entry.event_id or "–")
