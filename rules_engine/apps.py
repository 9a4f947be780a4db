"""Wires the engine together when Django starts; makes no query and starts no thread."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class RulesEngineConfig(AppConfig):
    """The rules engine."""

    name = "rules_engine"
    verbose_name = _("Rules")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Load the kinds of action, connect the few receivers of our own, and register the checks."""
        from rules_engine import checks  # noqa: F401 - registers them
        from rules_engine.actions import (  # noqa: F401 - registers them
            delete_cache_keys,
            log_message,
            reject,
            replay_executions,
            run_task,
            send_signal,
            write_audit_entry,
        )
        from rules_engine.actions.files import delete_files  # noqa: F401
        from rules_engine.actions.mail import send_email  # noqa: F401
        from rules_engine.actions.rows import create_object, set_fields, update_objects  # noqa: F401
        from rules_engine.capture import first_signal, receiver, vetoes
        from rules_engine.databases import routing
        from rules_engine.live import cache, watcher
        from rules_engine.rules import registry
        from rules_engine.work.troubles import noticing

        routing.stand_first()
        registry.autodiscover()
        cache.on_change(receiver.connect)
        cache.on_change(vetoes.attach)
        cache.on_change(first_signal.installed)
        watcher.on_look(noticing.notice_where_nobody_works)
        self._connect_own_receivers()
        first_signal.listen()

    def _connect_own_receivers(self) -> None:
        from celery.signals import task_prerun
        from django.core.signals import request_started
        from django.db.backends.signals import connection_created
        from django.db.models.signals import post_migrate, pre_migrate, pre_save

        from rules_engine import conf
        from rules_engine.capture.origins import writers
        from rules_engine.live import migrated, watcher
        from rules_engine.live.triggers import installing
        from rules_engine.models import Rule, RuleAction, RuleTest
        from rules_engine.models.rule_set import rules_changed
        from rules_engine.packs import loading
        from rules_engine.work.schedules import arming

        connection_created.connect(writers.connected, dispatch_uid="rules_engine.writers")
        connection_created.connect(watcher.connected, dispatch_uid="rules_engine.watcher")
        for model in (Rule, RuleAction, RuleTest):
            pre_save.connect(loading.before_raw_save, sender=model, dispatch_uid="rules_engine.loading")
        pre_migrate.connect(migrated.begins, sender=self, dispatch_uid="rules_engine.migrated")
        post_migrate.connect(migrated.ends, sender=self, dispatch_uid="rules_engine.migrated")
        post_migrate.connect(installing.after_migration, sender=self, dispatch_uid="rules_engine.triggers")
        rules_changed.connect(arming.rules_changed, dispatch_uid="rules_engine.armed")
        rules_changed.connect(watcher.rules_changed, dispatch_uid="rules_engine.changed")
        if conf.refresh() == "request":
            request_started.connect(watcher.started, dispatch_uid="rules_engine.request")
            task_prerun.connect(watcher.started, dispatch_uid="rules_engine.task", weak=False)
