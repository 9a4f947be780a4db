"""Settings: one documented, typed accessor each, over the dict ``RULES_ENGINE`` in Django's settings.

Each is read once and kept until Django says that the setting changed, as ``override_settings`` makes it do. What
cannot be used is not kept, and raises ``SettingsError`` each time. ``problems()`` is the source of the system check:
every unknown key and every unusable value, as sentences.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rules_engine.conf.accessors import ACCESSORS, setting
from rules_engine.errors import SettingsError, did_you_mean
from rules_engine.setting_values import (
    CONNECTION_KEYS,
    EXPECTED_SIGNALS,
    EXPECTED_SURROUNDINGS,
    SETTING,
    ConfiguredSignal,
    ConfiguredSurroundings,
    are_exceptions,
    configured,
    configured_signal,
    count,
    flag,
    is_address_or_empty,
    is_connection,
    is_number,
    is_schedule,
    is_signals,
    is_surroundings,
    is_tasks,
    is_texts_or_none,
    most,
    retention,
    seconds,
    texts,
    usable,
    usable_secret,
)


@setting
def refresh() -> str:
    """How a process learns of changed rules: "watch" (a thread of its own, the default) or "request"
    (one query at the start of each request and task, and no thread)."""
    return str(usable("REFRESH", "watch", lambda v: v in ("watch", "request"), '"watch" or "request"'))


@setting
def refresh_seconds() -> float:
    """Seconds between two looks at the rule set's version row. Default 1.0; rules are live within twice that."""
    return seconds("REFRESH_SECONDS", 1.0)


@setting
def runner() -> str:
    """Who carries out what is due: "celery" (the default), "worker" (``manage.py rules_worker``, without Celery and
    without a broker), or "tasks" (Django's own tasks, by the backend that the site has)."""
    return str(usable("RUNNER", "celery", ("celery", "worker", "tasks").__contains__, '"celery", "worker" or "tasks"'))


@setting
def hints() -> bool:
    """Whether committed work wakes a worker at once. Default True; without, the sweep finds it."""
    return flag("HINTS", True)


@setting
def listen() -> Mapping[str, Any]:
    """In what the connection by which ``rules_worker`` listens differs from that of ``DATABASES``. Default ``{}``.

    For a pooler that lets no announcement through: ``{"HOST": "10.0.0.5", "PORT": 5432}`` is PostgreSQL itself.
    """
    expected = f"a dict with some of {', '.join(CONNECTION_KEYS)}, as in DATABASES"
    return dict(usable_secret("LISTEN", {}, is_connection, expected))


@setting
def answer_rejections() -> bool:
    """Whether the middleware answers requests that end in ``Rejected``: with 409, and in the admin with a message.
    Default True; without, the exception goes on to Django, which answers 500."""
    return flag("ANSWER_REJECTIONS", True)


@setting
def queue() -> str:
    """The Celery queue for every action that names none of its own. Default "rules"."""
    return str(usable("QUEUE", "rules", lambda v: isinstance(v, str) and v != "", "the name of a queue"))


@setting
def sweep_seconds() -> float:
    """Seconds between two sweeps for work that no hint announced. Default 5."""
    return seconds("SWEEP_SECONDS", 5.0)


@setting
def lease_seconds() -> float:
    """Seconds a worker owns what it claimed before another may take it; renewed while it works. Default 60."""
    return seconds("LEASE_SECONDS", 60.0)


@setting
def batch_size() -> int:
    """Executions a worker claims at once. Default 50."""
    return count("BATCH_SIZE", 50)


@setting
def retry_schedule() -> tuple[float, ...]:
    """Seconds before the second, third, … attempt; after the last the execution is discarded.

    Default: 10 s, 1 min, 5 min, 30 min, 2 h, 6 h, 12 h, 24 h (nine attempts over about two days).
    """
    default = (10, 60, 300, 1800, 7200, 21600, 43200, 86400)
    value = usable("RETRY_SCHEDULE", default, is_schedule, "a list of seconds from 0 to 31,622,400 (366 days)")
    return tuple(float(seconds) for seconds in value)


@setting
def retry_jitter() -> float:
    """The part of a delay that is left to chance, either way, so that failures do not return in step. Default 0.2."""
    accepts = lambda v: is_number(v, above=-1e-9) and v < 1  # noqa: E731
    return float(usable("RETRY_JITTER", 0.2, accepts, "a number from 0 to below 1"))


@setting
def max_crashes() -> int:
    """How often an execution may take its worker's process down with it before it is discarded. Default 3."""
    return count("MAX_CRASHES", 3)


@setting
def max_depth() -> int:
    """How deep rules may set off rules before the chain is cut. Default 8."""
    return count("MAX_DEPTH", 8)


@setting
def root_budget() -> int:
    """How many executions one original event may lead to, through all its cascades. Default 10,000."""
    return count("ROOT_BUDGET", 10_000)


@setting
def condition_budget() -> int:
    """Operations one condition may spend on one event. Default 100,000."""
    return count("CONDITION_BUDGET", 100_000)


@setting
def retention_days() -> float | None:
    """Days that events, executions and attempts are kept; None keeps them. Default 30."""
    return retention("RETENTION_DAYS", 30)


@setting
def audit_retention_days() -> float | None:
    """Days that audit entries are kept; None, the default, keeps them."""
    return retention("AUDIT_RETENTION_DAYS", None)


@setting
def sensitive_fields() -> tuple[str, ...]:
    """Parts of field names, besides the built-in ones, that no rule may read: ``["iban"]`` hides ``bank_iban``."""
    return texts("SENSITIVE_FIELDS", ())


@setting
def old_values_at_load() -> tuple[str, ...]:
    """Models whose old values are taken as an object is loaded, by their labels: ``["shop.order"]``. Default none."""
    return tuple(label.lower() for label in texts("OLD_VALUES_AT_LOAD", ()))


@setting
def sensitive_exceptions() -> tuple[str, ...]:
    """Names that are no secrets although they hold a word of one: ``["max_tokens", "shop.voucher.token"]``.

    A name counts for fields, keys inside JSON and arguments of signals; with its model before it, for that field.
    """
    expected = "a list of names such as max_tokens, or shop.voucher.token where the name is a secret's elsewhere"
    return tuple(usable("SENSITIVE_EXCEPTIONS", (), are_exceptions, expected))


@setting
def text_limit() -> int:
    """Characters kept of one text value in an event; longer ones are cut and marked. Default 10,000, at least 250."""
    return count("TEXT_LIMIT", 10_000, least=250)


@setting
def rows_limit() -> int:
    """Related rows, or primary keys of one many-to-many change, kept in an event. Default 1,000."""
    return count("ROWS_LIMIT", 1_000)


@setting
def event_bytes() -> int:
    """Bytes of the related rows that are read for one event, and of the event as it is kept. Default 1,000,000, at
    least 10,000."""
    return count("EVENT_BYTES", 1_000_000, least=10_000)


@setting
def keep_events_whole() -> bool:
    """Whether events are written as earlier releases read them, which takes about twice the bytes. Default False.

    For a deploy in which workers of such a release go on beside new web processes, and before going back to it.
    """
    return flag("KEEP_EVENTS_WHOLE", False)


@setting
def cache_key_prefixes() -> tuple[str, ...] | None:
    """Beginnings of the cache keys that rules may delete; None, the default, allows all but sessions' keys."""
    value = usable("CACHE_KEY_PREFIXES", None, is_texts_or_none, "a list of strings, or None")
    return None if value is None else tuple(value)


@setting
def email_domains() -> tuple[str, ...] | None:
    """Domains that rules may send mail to; None, the default, allows all."""
    value = usable("EMAIL_DOMAINS", None, is_texts_or_none, "a list of domains, or None")
    return None if value is None else tuple(domain.lower() for domain in value)


@setting
def email_recipients() -> int:
    """Recipients one execution may mail. Default 50."""
    return count("EMAIL_RECIPIENTS", 50)


@setting
def emails_per_rule_per_hour() -> int | None:
    """Mails one rule may send in an hour; what is over it waits. Default 5,000; None is no cap."""
    return most("EMAILS_PER_RULE_PER_HOUR", 5_000)


@setting
def emails_per_hour() -> int | None:
    """Mails all rules together may send in an hour; what is over it waits. Default 20,000; None is no cap."""
    return most("EMAILS_PER_HOUR", 20_000)


@setting
def email_seconds() -> float:
    """Seconds that connecting to the mail server may take, and then each message. Default 30."""
    return seconds("EMAIL_SECONDS", 30.0)


@setting
def email_attachment_bytes() -> int:
    """Bytes that all files of one message may have together. Default 10,000,000."""
    return count("EMAIL_ATTACHMENT_BYTES", 10_000_000)


@setting
def site_url() -> str:
    """Where the site is reached, such as "https://shop.example.com": mails and chats then link to the admin's pages.
    Default "", without links."""
    return str(usable("SITE_URL", "", is_address_or_empty, 'an address such as "https://shop.example.com"')).rstrip("/")


@setting
def tasks() -> dict[str, str]:
    """The Celery tasks that rules may run, each with its name for people. Default none.

    The setting is a list of names, or a dict of names and labels.
    """
    value = usable("TASKS", (), is_tasks, "a list of task names, or a dict of task names and labels")
    return dict(value) if isinstance(value, Mapping) else {name: name for name in value}


@setting
def signals() -> dict[str, ConfiguredSignal]:
    """Signals that rules may listen to without code of the site's: names and dotted paths. Default none.

    ``{"shop.order_paid": "project.shop.signals.order_paid"}``, or instead of the path a dict with it as ``signal``,
    with ``label`` and with ``arguments`` (a dict of names and what each is); both may be lazy translations.
    ``instance`` names the argument that is the object, where it is not called ``instance``.
    """
    value = usable("SIGNALS", {}, is_signals, EXPECTED_SIGNALS)
    return {name: configured_signal(signal) for name, signal in value.items()}


@setting
def surroundings() -> ConfiguredSurroundings | None:
    """What a connection says besides its rows, such as a tenant's schema: the functions by which it is told
    (``present``) and entered again by workers (``enter``). Default None, for nothing.

    ``every`` lists them, for rules on time that hold in all. ``home`` is what is present where the rules and their
    authors are, that all share; with ``own_rules`` (default False) others have rules of their own besides.
    """
    value = usable("SURROUNDINGS", None, is_surroundings, EXPECTED_SURROUNDINGS)
    return None if value is None else ConfiguredSurroundings(**value)


# After the others: settings are told in this order.
from rules_engine.conf.monitors import breaker as breaker  # noqa: E402
from rules_engine.conf.monitors import health as health  # noqa: E402
from rules_engine.conf.monitors import metrics as metrics  # noqa: E402
from rules_engine.conf.monitors import trace_url as trace_url  # noqa: E402
from rules_engine.conf.monitors import traces as traces  # noqa: E402
from rules_engine.conf.monitors import trouble_seconds as trouble_seconds  # noqa: E402


def problems() -> list[str]:
    """Every unknown key and unusable value of the setting, as sentences; empty when all is well."""
    try:
        written = configured()
    except SettingsError as error:
        return [str(error)]
    sentences = [_unknown(key) for key in written if key not in ACCESSORS]
    for name, accessor in ACCESSORS.items():
        if name in written:
            try:
                accessor()
            except SettingsError as error:
                sentences.append(str(error))
    return sentences


def _unknown(key: Any) -> str:
    known = ", ".join(sorted(ACCESSORS))
    hint = did_you_mean(str(key).upper(), list(ACCESSORS))
    return f"{SETTING} has no setting {key!r}.{hint} The settings are: {known}."
