"""A rule for those who may only read it: its condition, changes and settings in words, the JSON folded below them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from rules_engine.admin.conditions.field_titles import Titles
from rules_engine.admin.conditions.one_line import words_of
from rules_engine.admin.conditions.sentences import Part, read
from rules_engine.admin.conditions.words import WORDS, comparison
from rules_engine.admin.parts.rendering import json_block, masked, text_block
from rules_engine.admin.prose.marks import words_of as marked_words
from rules_engine.admin.prose.timed import when
from rules_engine.rules import registry
from rules_engine.types import RuleSpec


def condition_block(condition: Any, label: str) -> SafeString:
    """A condition of a rule on that model."""
    if condition is None:
        return text_block(str(WORDS["always"]))
    return _with_json(
        format_html('<ul class="rules-reading">{}</ul>', _line(read(condition, Titles.of(label)))), condition
    )


def timed_block(rule: RuleSpec) -> SafeString:
    """When a rule acts by the clock; a dash for one that acts on signals alone."""
    if rule.schedule is None:
        return text_block("")
    return _with_json(text_block(str(marked_words(when(rule)))), rule.schedule)


def changes_block(changes: Any, label: str) -> SafeString:
    """The change conditions of a rule on that model."""
    if not changes:
        return text_block(str(WORDS["any_change"]))
    titles = Titles.of(label)
    rows = changes if isinstance(changes, list) else [changes]
    items = format_html_join("", "<li>{}</li>", ((_change(change, titles),) for change in rows))
    return _with_json(format_html('<ul class="rules-reading">{}</ul>', items), changes)


def settings_block(kind: str, config: Any) -> SafeString:
    """What an action of that kind is configured to do, under the titles of its form."""
    shown = masked(config)
    if not isinstance(shown, Mapping) or not shown:
        return json_block(shown)
    known = registry.find(kind)
    keys = known.schema.get("keys", known.schema.get("properties", {})) if known is not None else {}
    return _with_json(_settings(shown, keys), shown)


def rows_block(for_each: Any) -> SafeString:
    """For each of what an action is carried out."""
    if isinstance(for_each, Mapping | list):
        return _with_json(format_html("<code>{}</code>", words_of(for_each)), for_each)
    return text_block(for_each or "")


def _with_json(block: SafeString, value: Any) -> SafeString:
    folded = '<div class="rules-read">{}<details><summary>{}</summary>{}</details></div>'
    return format_html(folded, block, gettext("As JSON"), json_block(value))


def _line(part: Part) -> SafeString:
    words = format_html("<code>{}</code>" if part.is_code else "{}", part.words)
    if not part.children:
        return format_html("<li>{}</li>", words)
    below = format_html_join("", "{}", ((_line(child),) for child in part.children))
    return format_html("<li>{}<ul>{}</ul></li>", words, below)


def _change(change: Any, titles: Titles) -> str:
    if not isinstance(change, Mapping) or "field" not in change:
        return words_of(change)
    name = str(change["field"])
    said = [titles.field(name), comparison("changed", "", before=False)]
    for key in ("from", "to"):
        if key in change and change[key] is None:
            said.append(str(WORDS[f"{key}_null"]))
        elif key in change:
            said.append(f"{WORDS[key]} {titles.value(name, change[key])}")
    return " ".join(said)


def _settings(config: Mapping[str, Any], keys: Mapping[str, Any]) -> SafeString:
    ordered = [key for key in keys if key in config] + [key for key in config if key not in keys]
    rows = ((_title(keys, key), _setting(config[key], keys.get(key, {}))) for key in ordered)
    return format_html('<dl class="rules-settings">{}</dl>', format_html_join("", "<dt>{}</dt><dd>{}</dd>", rows))


def _title(keys: Mapping[str, Any], key: str) -> str:
    return str(keys.get(key, {}).get("title") or key)


def _setting(value: Any, schema: Mapping[str, Any]) -> SafeString:
    if isinstance(value, bool):
        return text_block(str(WORDS["yes"] if value else WORDS["no"]))
    if isinstance(value, list) and value:
        return format_html("<ul>{}</ul>", format_html_join("", "<li>{}</li>", _items(value, schema.get("items", {}))))
    if isinstance(value, Mapping):
        return format_html("<code>{}</code>", words_of(value))
    return text_block("" if value in (None, []) else _called(value, schema))


def _called(value: Any, schema: Mapping[str, Any]) -> str:
    """The title of a value among the choices of its setting, or the value."""
    named = [
        choice for choice in schema.get("choices", ()) if isinstance(choice, Mapping) and choice.get("value") == value
    ]
    return str(named[0].get("title") or value) if named else str(value)


def _items(values: Iterable[Any], schema: Mapping[str, Any]) -> Iterable[tuple[SafeString]]:
    keys = schema.get("keys", schema.get("properties", {}))
    for value in values:
        is_row = isinstance(value, Mapping) and keys and not set(value) - set(keys)
        yield (_settings(value, keys) if is_row else _setting(value, {}),)
