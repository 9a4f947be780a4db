"""The audit trail: read and searched, never edited."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.parts.objects import UNSEEN, hidden_rows, why_unseen
from rules_engine.admin.parts.rendering import json_block, link, object_link, page_url, table, text_block, time_words
from rules_engine.admin.parts.searching import SearchedAdmin, fields_named, labels_like, of_rules
from rules_engine.context.signals import quoting
from rules_engine.models import AuditEntry, AuditSeal, Event
from rules_engine.rules.permissions import may_view_event, viewable_labels
from rules_engine.surroundings.state import functions, here, is_home, seen_from_here, shown, text_of

#: Operations that the filter offers.
MOST_OPERATIONS = 50
#: Characters of a word up to which it may be that of surroundings.
MOST_OF_SURROUNDINGS = 90
#: What of an entry is the object's own data.
DATA = ("operation", "object_text", "note", "changes_shown", "fields_shown")


class OperationFilter(admin.SimpleListFilter):
    """By what was done, of the entries whose data the user may see."""

    title = _("operation")
    parameter_name = "operation"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        rows = _seen_by(request, AuditEntry.objects.order_by("operation"))
        return [(name, name) for name in rows.values_list("operation", flat=True).distinct()[:MOST_OPERATIONS]]

    def has_output(self) -> bool:
        # Without choices Django would take the name in the address for a column, and narrow by that.
        return True

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return _seen_by(request, queryset).filter(operation=self.value()) if self.value() else queryset


def _seen_by(request: HttpRequest, entries: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
    if getattr(request.user, "is_superuser", False):
        return entries
    return entries.filter(_quoting_nothing(), model__in=viewable_labels(request.user))


def _quoting_nothing() -> Q:
    return ~Q(Exists(Event.objects.filter(pk=OuterRef("event_id"), signal__in=quoting())))


def _sent(entry: Any) -> dict[str, Any]:
    """The part of the event's context that an entry about no object keeps: what the signal sent."""
    return {} if entry.model else {"event": {"signal": entry.signal}, "signal": entry.fields}


def _told_apart() -> bool:
    """Say whether entries of several surroundings are listed here."""
    return functions() is not None and is_home()


def _with_events(entries: Iterable[Any]) -> None:
    """Give entries what their events keep: the surroundings, and the signal where it is about no object. One query,
    none where nobody asks for either."""
    rows = list(entries)
    asked = {entry.event_id for entry in rows if entry.event_id and (functions() is not None or not entry.model)}
    events = Event.objects.filter(pk__in=asked).values_list("pk", "surroundings", "signal")
    known = {key: kept for key, *kept in events} if asked else {}
    for entry in rows:
        entry.surroundings, entry.signal = known.get(entry.event_id, ("", ""))


@admin.register(AuditEntry)
class AuditEntryAdmin(SearchedAdmin):
    """Who did what to which object."""

    def shown_here(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Those whose events are recorded as of here: an entry itself does not say it."""
        seen = seen_from_here()
        return rows.filter(event_id__in=Event.objects.filter(**seen).values("pk")) if seen else rows

    list_display = ("at", "operation_shown", "object_shown", "actor_name", "changed", "rule_slug")
    list_display_links = ("at", "operation_shown")
    list_filter = (OperationFilter,)
    date_hierarchy = "at"
    search_help_text = _(
        "A part of an object's or actor's name, a note, a rule or a model; in full: an object's or actor's key, a "
        "request's id, a field."
    )
    every_field = (
        "at", "operation", "object_shown", "object_text", "actor_name", "actor_id", "request_id", "request_path",
        "note", "changes_shown", "fields_shown", "rule_slug", "rule_version", "event_shown", "created_at", "sealed",
    )  # fmt: skip
    readonly_fields = (
        "object_shown",
        "changes_shown",
        "fields_shown",
        "event_shown",
        "sealed",
        "unseen",
        "surroundings_shown",
    )

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        """With the surroundings where there may be several."""
        return (*self.list_display, "surroundings_shown") if _told_apart() else self.list_display

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Django's, with why the data of some entries is not shown. What was done may be a text made of it."""
        changelist: Any = super().get_changelist_instance(request)
        _with_events(changelist.result_list)
        hidden = hidden_rows(request, ((row.model, row.object_pk) for row in changelist.result_list))
        for entry in changelist.result_list:
            is_hidden = (entry.model, entry.object_pk) in hidden
            is_seen = not is_hidden and (entry.model or may_view_event(request.user, "", _sent(entry)))
            entry.unseen_because = "" if is_seen else str(UNSEEN)
        return changelist

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Django's, with why its data is not shown, which depends on who asks."""
        entry: Any = super().get_object(request, object_id, from_field)
        if entry is not None:
            _with_events([entry])
            entry.unseen_because = why_unseen(request, entry.model, entry.object_pk, _sent(entry))
        return entry

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        every = (*self.every_field, "surroundings_shown") if _told_apart() else self.every_field
        if obj is None or not obj.unseen_because:
            return every
        left = [name for name in every if name not in DATA]
        return (*left[: left.index("rule_slug")], "unseen", *left[left.index("rule_slug") :])

    def having(self, word: str) -> Q:
        """By object, actor, request, rule, and by the names of what was changed or recorded."""
        names = fields_named(word)
        keys = Q(object_pk=word) | Q(actor_id=word) | Q(request_id=word) | Q(model__in=labels_like(word))
        fields = Q(changes__has_any_keys=names) | Q(fields__has_any_keys=names)
        found = keys | of_rules(word) | fields | Q(actor_name__icontains=word)
        if _told_apart() and len(word) < MOST_OF_SURROUNDINGS:
            found |= Q(Exists(Event.objects.filter(pk=OuterRef("event_id"), surroundings=text_of(word))))
        return found

    def quoting(self) -> Q:
        """An entry has no key of its event's row."""
        return ~_quoting_nothing()

    def having_in_data(self, word: str) -> Q:
        """By what an object is called, and by the note."""
        return Q(object_text__icontains=word) | Q(note__icontains=word)

    @admin.display(description=_("changes"))
    def unseen(self, entry: Any) -> str:
        return str(entry.unseen_because)

    @admin.display(description=_("operation"))
    def operation_shown(self, entry: Any) -> str:
        return "–" if entry.unseen_because else str(entry.operation)

    @admin.display(description=_("object"), ordering="object_pk")
    def object_shown(self, entry: AuditEntry) -> SafeString:
        # The object of that key is another one elsewhere.
        is_here = getattr(entry, "surroundings", "") in ("", here())
        return object_link(entry.model, entry.object_pk) if is_here else link("", f"{entry.model} {entry.object_pk}")

    @admin.display(description=_("surroundings"))
    def surroundings_shown(self, entry: Any) -> str:
        """As its event keeps them; of one whose event is gone nobody knows."""
        return shown(getattr(entry, "surroundings", "")) or "–"

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

    @admin.display(description=_("sealed"))
    def sealed(self, entry: AuditEntry) -> str:
        """By which seal of the chain, and when; whether it is still as it was sealed, a command says."""
        if entry.seal is None:
            return gettext("Not yet: a worker seals it at its next sweep.")
        when = AuditSeal.objects.filter(pk=entry.seal).values_list("sealed_at", flat=True).first()
        if when is None:
            return gettext("Its seal %(number)s is not there; run manage.py rules_audit_verify.") % {
                "number": entry.seal
            }
        said = gettext("By seal %(number)s, %(when)s; manage.py rules_audit_verify says whether it is as it was then.")
        return said % {"number": entry.seal, "when": time_words(when)}
