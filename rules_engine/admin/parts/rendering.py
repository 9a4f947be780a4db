"""Small pieces of pages: readable JSON, tables, links. All data is escaped; nothing here is marked safe."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.formats import date_format, localize
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import is_aware, localdate, localtime
from django.utils.translation import gettext

from rules_engine import conf
from rules_engine.admin.parts.labels import model_title
from rules_engine.admin.parts.objects import names_of_objects, why_unseen
from rules_engine.context.paths import find_model
from rules_engine.context.visible import visible
from rules_engine.hidden.secret_names import is_secret
from rules_engine.models import Event
from rules_engine.rules import permissions
from rules_engine.surroundings.state import shown
from rules_engine.tracing.kept import trace_id_of

MASK = "…"


def json_text(value: Any) -> str:
    """A JSON value as people read it: indented, letters as they are."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def json_block(value: Any) -> SafeString:
    """Show a value as JSON in a block of a page; a dash for nothing."""
    if value in (None, "", [], {}):
        return format_html("<span>{}</span>", "–")
    return format_html('<pre class="rules-json" tabindex="0">{}</pre>', json_text(value))


def text_block(text: str) -> SafeString:
    """A text with its line breaks; a dash for none."""
    return format_html('<span class="rules-text">{}</span>', text or "–")


def table(headings: Sequence[Any], rows: Iterable[Sequence[Any]]) -> SafeString:
    """A table; every cell is escaped unless it is safe already."""
    head = format_html_join("", '<th scope="col">{}</th>', ((heading,) for heading in headings))
    body = format_html_join("", "<tr>{}</tr>", ((_cells(row),) for row in rows))
    whole = format_html('<table class="rules-table"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>', head, body)
    return format_html('<div class="rules-scroll" tabindex="0">{}</div>', whole)


def _cells(row: Sequence[Any]) -> SafeString:
    return format_html_join("", "<td>{}</td>", ((cell,) for cell in row))


def link(url: str, text: Any) -> SafeString:
    """A link; plain text where there is no address."""
    return format_html('<a href="{}">{}</a>', url, text) if url else format_html("{}", text)


def trace_link(kept: str | None) -> SafeString:
    """The id of the trace that an event is a part of, linked by the setting TRACE_URL; a dash for none."""
    trace_id = trace_id_of(kept)
    return link(conf.trace_url().replace("{trace_id}", trace_id) if trace_id else "", trace_id or "–")


def list_url(name: str, **filters: Any) -> str:
    """The address of one of our list pages, such as ``list_url("execution", rule_slug="x")``."""
    return f"{reverse(f'admin:rules_engine_{name}_changelist')}?{urlencode(filters)}"


def page_url(name: str, pk: Any) -> str:
    """The address of the page of one of our own objects."""
    return reverse(f"admin:rules_engine_{name}_change", args=[pk])


def time_words(moment: datetime) -> str:
    """A moment as the site writes it."""
    return str(localize(localtime(moment) if is_aware(moment) else moment))


def short_time(moment: datetime) -> str:
    """A moment in the site's time zone: of today its time alone, of any other day the date as well."""
    local = localtime(moment) if is_aware(moment) else moment
    is_today = local.date() == localdate()
    return date_format(local, "TIME_FORMAT" if is_today else "DATETIME_FORMAT")


def clock(moment: datetime) -> SafeString:
    """``short_time``, with the whole of it for programs."""
    local = localtime(moment) if is_aware(moment) else moment
    return format_html('<time datetime="{}">{}</time>', local.isoformat(timespec="seconds"), short_time(moment))


def object_cell(event: Event, names: Mapping[tuple[str, str], str]) -> SafeString:
    """The object of an event: its name, where who asks may be told that, linked to its page; below it, model and key,
    and its surroundings where these are others than here."""
    label, pk, name = event.model, event.object_pk, names.get((event.model, event.key_here), "")
    words = " ".join(filter(None, [model_title(label), pk])) or "–"
    if event.key_here != pk:
        words = f"{words} ({shown(event.surroundings)})"
    if not name:
        return format_html('<span class="rules-name" dir="auto">{}</span>', words)
    named = format_html('<span class="rules-name" dir="auto">{}</span>', name)
    below = format_html('<div class="quiet" dir="auto">{}</div>', words) if name.casefold() != words.casefold() else ""
    return format_html("{}{}", link(object_url(label, pk), named), below)


def object_block(request: HttpRequest, event: Event) -> SafeString:
    """The object of one record, as ``object_cell`` has it, for who asks."""
    return object_cell(event, names_of_objects(request, [(event.model, event.key_here)]))


def object_link(label: str, pk: str) -> SafeString:
    """The object of a rule's model, linked to its own admin page where the site has one."""
    return link(object_url(label, pk), f"{label} {pk}".strip() or "–")


def object_url(label: str, pk: str) -> str:
    """The object's own admin page; empty where the site has none."""
    model = find_model(label) if label else None
    if model is None or not pk or not admin.site.is_registered(model):
        return ""
    try:
        return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[quote(pk)])
    except NoReverseMatch:
        return ""


def masked(value: Any) -> Any:
    """A config without what looks like a secret: none belongs there, and one that stands there is not shown."""
    if isinstance(value, list):
        return [masked(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    return {key: MASK if _is_secret(str(key), setting) else masked(setting) for key, setting in value.items()}


def _is_secret(key: str, value: Any) -> bool:
    return isinstance(value, str) and value != "" and "{{" not in value and is_secret(key)


def names_of(keys: Iterable[str]) -> dict[str, str]:
    """What the users of these keys are called, as far as there are such users. One query."""
    model = get_user_model()
    written_by_pk = {}
    for key in {written for written in keys if written}:
        with suppress(ValueError, ValidationError):
            written_by_pk[model._meta.pk.to_python(key)] = key
    rows = model._default_manager.in_bulk(list(written_by_pk)) if written_by_pk else {}
    return {written_by_pk[pk]: str(user) for pk, user in rows.items()}


def context_block(request: HttpRequest, event: Event) -> SafeString:
    """An event's data, for those who may view its object; without objects of others that they may not view."""
    if why := why_unseen(request, event.model, event.key_here):
        return text_block(why)
    seen, hidden = visible(event.context, event.model, permissions.may_view(request.user))
    if not hidden:
        return json_block(seen)
    left_out = gettext("Left out, since you may not view it: %s.") % ", ".join(hidden)
    return format_html("{}{}", json_block(seen), text_block(left_out))
