"""``manage.py check``: settings, rules that cannot run, and what stands in the way of the guarantees.

Ids are never used twice. E001 settings; E002 a rule cannot be tried; W003 the broker is not
set; W004 requests are not atomic; E005 rules and outbox in two databases; W006 threads cannot run; W007 middleware
is missing; E008 a signal's path leads nowhere; W008 rules can set off each other in a loop; W012 a pool of
connections is too small for workers; E013 the user model is not installed; W014 tasks are eager; W015 a relation's
deletes are left to the database; I016 fields are hidden; E017 the database is none that is known, its clock is
not UTC, or it switches schemas and nobody says which; W018 SQLite's transactions begin as readers; W019 a rule's key
holds no value; W020 the form of actions has not what draws it; W021 database triggers lack something;
E031 Django has no tasks; W032 its tasks have no workers; I034 writes go by rules; W041 a rule on a date finds no
index; W042 rules on time look at home alone.
W003, W004 and W006 to W008 are about a deployment, and come with ``check --deploy``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from celery import current_app
from django.apps import AppConfig, apps
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, router, transaction

from rules_engine import conf
from rules_engine.context import signals
from rules_engine.context.paths import find_model, is_denied, is_sensitive
from rules_engine.databases import database_of
from rules_engine.hidden.fields import is_hidden
from rules_engine.live.compiler import compile_rule
from rules_engine.live.triggers import states
from rules_engine.live.watcher import is_test_environment
from rules_engine.models import Execution, InstalledTrigger, Rule
from rules_engine.rules.cascades import analyse
from rules_engine.rules.holding import constant_keys
from rules_engine.rules.validation import rule_problems
from rules_engine.surroundings import state as surroundings
from rules_engine.test.seen.messages import unseen_writes
from rules_engine.test.seen.unseen import unseen_changes
from rules_engine.types import RuleSpec
from rules_engine.work.schedules import indexes
from rules_engine.work.schedules.unlisted import unlisted
from rules_engine.work.workers import worker_pools

Apps = Sequence[AppConfig] | None
MIDDLEWARE = "rules_engine.middleware.ActorMiddleware"


@checks.register()
def check_settings(app_configs: Apps, **_: Any) -> list[checks.CheckMessage]:
    """E001: every key of RULES_ENGINE is known and every value usable."""
    problems = _unusable_settings() or [
        f"RULES_ENGINE['OLD_VALUES_AT_LOAD'] names {label!r}, which is no model."
        for label in conf.old_values_at_load()
        if find_model(label) is None
    ]
    return [checks.Error(problem, id="rules_engine.E001") for problem in problems]


def _unusable_settings() -> list[str]:
    return conf.problems() or surroundings.problems()


#: No database, a database not for us, and the ways in which Django's and pytest's runners forbid queries to tests.
CANNOT_LOOK = (DatabaseError, ImproperlyConfigured, AssertionError, RuntimeError)


@checks.register()
def check_rules(app_configs: Apps, **_: Any) -> list[checks.CheckMessage]:
    """E002: every enabled rule can be tried. One query at the start of a command, where there is a database."""
    level = checks.Error if _is_asked() else checks.Warning
    return [
        level(f"Rule {spec.slug}: {problem}", hint="Open the rule in the admin.", id="rules_engine.E002")
        for spec in _enabled_rules()
        for problem in rule_problems(spec)
    ]


def _has_users() -> bool:
    try:
        apps.get_model(settings.AUTH_USER_MODEL, require_ready=False)
    except (LookupError, ValueError):
        return False
    return True


def _enabled_rules() -> list[RuleSpec]:
    if not _has_users() or _unusable_settings():
        return []  # no query of rules can be put together, or no rule be looked at; E013 and E001 say so
    using = router.db_for_read(Rule)
    try:
        with transaction.atomic(using=using):
            return Rule.objects.using(using).filter(enabled=True).specs()
    except CANNOT_LOOK:
        return []  # also before the first migrate: no table, and so no rule


@checks.register()
def check_constant_keys(app_configs: Apps, **_: Any) -> list[checks.CheckMessage]:
    """W019: enabled rules whose key holds no value, so that all their matches are counted, or taken, together."""
    return [
        checks.Warning(f"Rule {spec.slug}: {problem}", hint="Open the rule in the admin.", id="rules_engine.W019")
        for spec in _enabled_rules()
        for problem in constant_keys(spec)
    ]


@checks.register()
def check_rules_on_time(app_configs: Apps, **_: Any) -> list[checks.CheckMessage]:
    """W041: a rule's date has no index, so that each look reads its table. W042: it is looked for at home alone."""
    rules = _enabled_rules()
    found = {"W041": indexes.lacking(rules, router.db_for_write(Rule)), "W042": unlisted(rules)}
    return [checks.Warning(said, hint=hint, id=f"rules_engine.{key}") for key in found for said, hint in found[key]]


@checks.register(deploy=True)
def check_loops(app_configs: Apps, **_: Any) -> list[checks.CheckMessage]:
    """W008: enabled rules that can set off each other, round and round, until a limit stops them."""
    hint = "See the rules' pages in the admin; a condition, or naming the fields that must have changed, may end it."
    found = analyse(_enabled_rules())
    return [checks.Warning(said, hint=hint, id="rules_engine.W008") for said in found.loops_said()]


@checks.register()
def check_user_model(app_configs: Apps, **_: Any) -> list[checks.CheckMessage]:
    """E013: rules record who wrote them, so the app of the user model has to be installed."""
    if not _has_users():
        message = f"The user model {settings.AUTH_USER_MODEL} is not installed, and a rule records who wrote it."
        hint = 'Add "django.contrib.auth" and "django.contrib.contenttypes" to INSTALLED_APPS, or the app it names.'
        return [checks.Error(message, hint=hint, id="rules_engine.E013")]
    return []


@checks.register()
def check_eager_tasks(app_configs: Apps, **_: Any) -> list[checks.CheckMessage]:
    """W014: with eager tasks Celery sends nothing to workers, and waits for none in the process that saves."""
    if not current_app.conf.get("task_always_eager"):
        return []
    message = "CELERY_TASK_ALWAYS_EAGER is on, so no worker is told of work: what rules are to do is not carried out."
    hint = "Leave it off and start a worker; in tests call rules_engine.testing.run_due(), which needs no worker."
    return [checks.Warning(message, hint=hint, id="rules_engine.W014")]


@checks.register()
def check_unsent_deletes(app_configs: Apps, **_: Any) -> list[checks.CheckMessage]:
    """W015: rules that hear deletes or saves of a model which the database deletes or changes, and nothing tells."""
    hint = "Use CASCADE or SET_NULL of django.db.models there, or have the rule listen to what is deleted first."
    return [
        checks.Warning(f"Rule {spec.slug}: {said}", hint=hint, id="rules_engine.W015")
        for spec in _enabled_rules()
        for said in unseen_changes(spec)
    ]


@checks.register()
def check_triggers(app_configs: Apps, **_: Any) -> list[checks.CheckMessage]:
    """W021: database triggers that are missing, or that lack a column which a live rule needs."""
    using = router.db_for_read(Rule)
    try:
        with transaction.atomic(using=using):
            if not InstalledTrigger.objects.using(using).exists():
                return []
            found = states.states([compile_rule(spec, 0) for spec in _enabled_rules()])
    except CANNOT_LOOK:
        return []
    return [
        checks.Warning(
            f"Database triggers of {table.label}: {states.described(table)}.",
            hint=f"Run: manage.py rules_triggers install {table.label}",
            id="rules_engine.W021",
        )
        for table in found
        if table.is_wrong
    ]


@checks.register()
def check_hidden_fields(app_configs: Apps, **_: Any) -> list[checks.CheckMessage]:
    """I016: fields whose value no rule tells, for they store something else than it. Said where somebody asks."""
    if not _is_asked() or _unusable_settings():
        return []
    fields = [
        f"{model._meta.label_lower}.{field.name}"
        for model in apps.get_models()
        if not is_denied(model)
        for field in model._meta.local_fields
        if is_hidden(field) and not is_sensitive(model, field.name)
    ]
    if not fields:
        return []
    message = f"Rules tell no value of these fields, which store something else than it: {', '.join(sorted(fields))}."
    hint = 'A field that is no secret can be allowed: RULES_ENGINE = {"SENSITIVE_EXCEPTIONS": ["shop.order.phone"]}.'
    return [checks.Info(message, hint=hint, id="rules_engine.I016")]


@checks.register()
def check_unseen_writes(app_configs: Apps, **_: Any) -> list[checks.CheckMessage]:
    """I034: writes of watched models that their rules do not see. Said where somebody asks."""
    return unseen_writes(_enabled_rules(), CANNOT_LOOK) if _is_asked() else []


def _is_asked() -> bool:
    """Say whether somebody wants to know: ``check`` fails then. To every other command a broken rule is a warning,
    for it must stop neither the migration that it waits for nor the site on which it will be mended."""
    return sys.argv[1:2] == ["check"] or is_test_environment()


@checks.register()
def check_form_of_actions(app_configs: Apps, **_: Any) -> list[checks.CheckMessage]:
    """W020: the admin's form of a rule draws the settings of actions with another app's scripts."""
    if not apps.is_installed("django.contrib.admin") or apps.is_installed("django_jsonform"):
        return []
    message = '"django_jsonform" is not in INSTALLED_APPS: the admin\'s form of a rule cannot draw what actions take.'
    hint = 'Add "django_jsonform", which was installed with django-signal-rules.'
    return [checks.Warning(message, hint=hint, id="rules_engine.W020")]


@checks.register()
def check_signals(app_configs: Apps, **_: Any) -> list[checks.CheckMessage]:
    """E008: signals that code or RULES_ENGINE["SIGNALS"] names by their path are there, each name once."""
    by_path = [one for one in signals.registered().values() if isinstance(one.source, str) and not _is_late(one)]
    found = [*by_path, *signals.configured().values()]
    sentences = [one.trouble or _clash(one) for one in found]
    hint = 'Write the path of the Signal object, such as "shop.signals.order_paid".'
    return [checks.Error(one, hint=hint, id="rules_engine.E008") for one in sentences if one]


def _is_late(named: signals.NamedSignal) -> bool:
    # Django's test package is imported only for a rule that wants it.
    return named.name == signals.TEMPLATE_RENDERED


def _clash(named: signals.NamedSignal) -> str:
    holder = signals.registered().get(named.name)
    if named.name not in signals.MODEL_SIGNALS and (holder is None or signals.is_same(holder, named)):
        return ""
    return (
        f'RULES_ENGINE["SIGNALS"] names "{named.name}", which already stands for another signal; choose another name.'
    )


@checks.register(deploy=True)
def check_broker(app_configs: Apps, **_: Any) -> list[checks.CheckMessage]:
    """W003: without a broker of the site's own, workers are never told of work."""
    celery = current_app.conf
    has_broker = celery.broker_url or celery.broker_write_url or celery.broker_read_url
    if conf.problems() or conf.runner() != "celery" or not conf.hints() or has_broker:
        return []
    message = "Celery has no broker_url, so workers cannot be told of work."
    hint = (
        "Set CELERY_BROKER_URL and import the Celery app in the project; or run manage.py rules_worker, which "
        'needs none, and set RULES_ENGINE["RUNNER"] to "worker".'
    )
    return [checks.Warning(message, hint=hint, id="rules_engine.W003")]


@checks.register()
def check_runner(app_configs: Apps, **_: Any) -> list[checks.CheckMessage]:
    """E031, W032: where Django's tasks are to carry out what is due, the site has them, and workers for them."""
    if conf.problems() or conf.runner() != "tasks":
        return []
    if not (find_spec("django.tasks") or find_spec("django_tasks")):
        message = 'RULES_ENGINE["RUNNER"] is "tasks", and this Django has no tasks.'
        hint = 'Install django-tasks and a backend such as django-tasks-db; or set it to "celery" or "worker".'
        return [checks.Error(message, hint=hint, id="rules_engine.E031")]
    from rules_engine.work.standalone import django_tasks  # not before it is known that it can be imported

    if django_tasks.has_workers():
        return []
    message = "Django's tasks have no workers here: what is due is carried out in the process that saved, or never."
    hint = "Give TASKS a backend with workers, such as django_tasks_db.DatabaseBackend."
    return [checks.Warning(message, hint=hint, id="rules_engine.W032")]


@checks.register()
def check_pool(app_configs: Apps, **_: Any) -> list[checks.CheckMessage]:
    """W012: a worker's tasks find as many connections as they need, where connections come from a pool."""
    said = worker_pools.configured_problem()
    hint = 'Raise "max_size" in OPTIONS["pool"], or lower the workers\' concurrency (CELERY_WORKER_CONCURRENCY).'
    return [checks.Warning(said, hint=hint, id="rules_engine.W012")] if said else []


@checks.register(deploy=True)
def check_atomic_requests(app_configs: Apps, **_: Any) -> list[checks.CheckMessage]:
    """W004: outside a transaction, a kill between a save and its event loses the event."""
    using = router.db_for_write(Execution)
    if settings.DATABASES.get(using, {}).get("ATOMIC_REQUESTS"):
        return []
    message = f'DATABASES["{using}"] has no ATOMIC_REQUESTS: a process killed right after a save may lose its event.'
    return [checks.Warning(message, hint="Set ATOMIC_REQUESTS to True.", id="rules_engine.W004")]


@checks.register()
def check_one_database(app_configs: Apps, **_: Any) -> list[checks.CheckMessage]:
    """E005: rules and outbox share a database."""
    rules, outbox = router.db_for_write(Rule), router.db_for_write(Execution)
    if rules == outbox:
        return []
    message = f'Rules are stored in "{rules}" and executions in "{outbox}"; they must share a database.'
    return [checks.Error(message, hint="Route the app rules_engine to one alias.", id="rules_engine.E005")]


@checks.register()
def check_database(app_configs: Apps, **_: Any) -> list[checks.CheckMessage]:
    """E017, W018: what keeps the engine from working on the database as it is set up."""
    using = router.db_for_write(Execution)
    if _unusable_settings():
        return []
    try:
        trouble = database_of(using).setup_trouble(using)
    except DatabaseError:  # it does not answer; whoever needs it says so
        return []
    if trouble is None:
        return []
    level, id_ = (checks.Error, "rules_engine.E017") if trouble.is_error else (checks.Warning, "rules_engine.W018")
    return [level(trouble.message, hint=trouble.hint, id=id_)]


@checks.register(deploy=True)
def check_threads(app_configs: Apps, **_: Any) -> list[checks.CheckMessage]:
    """W006: uWSGI without threads never runs ours."""
    try:
        import uwsgi
    except ImportError:
        return []
    if uwsgi.opt.get("enable-threads") or uwsgi.opt.get("threads"):
        return []
    message = "uWSGI runs without threads: hints are not sent, and changed rules are not noticed."
    hint = 'Set enable-threads, or RULES_ENGINE = {"REFRESH": "request", "HINTS": False}; the sweep carries the work.'
    return [checks.Warning(message, hint=hint, id="rules_engine.W006")]


@checks.register(deploy=True)
def check_middleware(app_configs: Apps, **_: Any) -> list[checks.CheckMessage]:
    """W007: without the middleware nobody knows who made a change in a request."""
    if MIDDLEWARE in settings.MIDDLEWARE or not settings.MIDDLEWARE:
        return []
    message = "Events of requests will not say who acted: the middleware is missing."
    hint = f'Add "{MIDDLEWARE}" after the AuthenticationMiddleware.'
    return [checks.Warning(message, hint=hint, id="rules_engine.W007")]
