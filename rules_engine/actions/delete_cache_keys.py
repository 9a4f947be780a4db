"""``delete_cache_keys``: cache invalidation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.core.cache import InvalidCacheBackendError, caches
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine import conf
from rules_engine.errors import PermanentError, Problem, Refused, did_you_mean
from rules_engine.rules import values
from rules_engine.rules.contract import Action, Clause, Preview
from rules_engine.rules.registry import register_action
from rules_engine.types import ActionContext, ActionResult, Path, RuleSpec, Unread, ask

#: Whoever may edit rules must not be able to log people out: Django's two session engines that use the cache.
SESSION_PREFIXES = ("django.contrib.sessions.cache", "django.contrib.sessions.cached_db")
#: What memcached takes; Django warns of longer ones, whatever the cache.
LONGEST_CACHE_KEY = 250


@register_action
class DeleteCacheKeys(Action):
    """Delete keys from one of the site's caches."""

    kind = "delete_cache_keys"
    label = _("Delete cache keys")
    schema = {
        "type": "object",
        "keys": {
            "keys": {
                "type": "array",
                "title": _("Keys"),
                "items": {"type": "string"},
                "minItems": 1,
                "helpText": _("Such as doctor_{{ instance.pk }}"),
            },
            "cache": {"type": "string", "title": _("Cache"), "plain": True, "default": "default"},
        },
    }

    def validate_config(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Problem]:
        keys = config.get("keys")
        if not isinstance(keys, list) or not keys:
            yield Problem("/keys", gettext("Name at least one key to delete."))
            return
        for index, key in enumerate(keys):
            if key in ("", None):
                yield Problem(f"/keys/{index}", gettext("Write a key here, or remove the row."))
            yield from values.problems(key, rule, f"/keys/{index}")
        alias = _alias(config)
        if alias not in caches.settings:
            yield Problem(
                "/cache",
                gettext('There is no cache "%(alias)s".%(hint)s')
                % {"alias": alias, "hint": did_you_mean(alias, list(caches.settings))},
            )

    def reads(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Path]:
        return {path for key in config.get("keys") or () for path in values.reads(key)}

    def clause(self, config: Mapping[str, Any], rule: RuleSpec) -> Clause:
        return Clause(_("delete %(keys)s from the cache"), {"keys": config.get("keys")})

    def preview(self, context: ActionContext, config: Mapping[str, Any]) -> Preview:
        keys = _keys(context, config)
        details = {gettext("Keys"): "\n".join(keys), gettext("Cache"): _alias(config)}
        return Preview(gettext("Deletes %(keys)s") % {"keys": ", ".join(keys)}, details)

    def run(self, context: ActionContext, config: Mapping[str, Any]) -> ActionResult:
        keys = _keys(context, config)
        _cache(config).delete_many(keys)
        return _deleted(keys)

    def run_many(
        self, contexts: Sequence[ActionContext], configs: Sequence[Mapping[str, Any]]
    ) -> Sequence[ActionResult | Exception]:
        answers = [ask(_prepared, context, config) for context, config in zip(contexts, configs, strict=True)]
        of_caches: dict[str, tuple[Any, dict[str, None]]] = {}
        for answer, config in zip(answers, configs, strict=True):
            if not isinstance(answer, Unread):
                cache, keys = answer
                of_caches.setdefault(_alias(config), (cache, {}))[1].update(dict.fromkeys(keys))
        for cache, all_keys in of_caches.values():
            cache.delete_many(list(all_keys))
        return [answer.error if isinstance(answer, Unread) else _deleted(answer[1]) for answer in answers]


def _prepared(context: ActionContext, config: Mapping[str, Any]) -> tuple[Any, list[str]]:
    keys = _keys(context, config)
    return _cache(config), keys


def _alias(config: Mapping[str, Any]) -> str:
    return config.get("cache") or "default"


def _cache(config: Mapping[str, Any]) -> Any:
    try:
        return caches[_alias(config)]
    except InvalidCacheBackendError as error:
        raise PermanentError(f"There is no such cache: {error}") from error


def _deleted(keys: list[str]) -> ActionResult:
    return ActionResult(f"Deleted {', '.join(keys)}", {"keys": keys})


def _keys(context: ActionContext, config: Mapping[str, Any]) -> list[str]:
    keys = [values.text(key, context.data) for key in config["keys"]]
    for key in keys:
        _permit(key)
    return keys


def _permit(key: str) -> None:
    if not key or len(key) > LONGEST_CACHE_KEY:
        raise PermanentError(
            gettext("Expected a cache key of 1 to %(most)s characters, and got %(length)s.")
            % {"most": LONGEST_CACHE_KEY, "length": len(key)}
        )
    allowed = conf.cache_key_prefixes()
    if allowed is not None and not key.startswith(allowed):
        raise Refused(gettext('RULES_ENGINE["CACHE_KEY_PREFIXES"] does not allow the key "%(key)s".') % {"key": key})
    if key.startswith(SESSION_PREFIXES):
        raise Refused(gettext("Rules may not delete sessions."))
