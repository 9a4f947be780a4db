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
            send_email,
            write_audit_entry,
        )
        from rules_engine.actions import registry
        from rules_engine.events import capture
        from rules_engine.rules import cache

        registry.autodiscover()
        cache.on_change(capture.connect)
        self._connect_own_receivers()

    def _connect_own_receivers(self) -> None:
        from celery.signals import task_prerun
        from django.core.signals import request_started
        from django.db.backends.signals import connection_created
        from django.db.models.signals import post_delete, post_save

        from rules_engine import conf
        from rules_engine.models import Rule, RuleAction
        from rules_engine.rules import watcher

        connection_created.connect(watcher.connected, dispatch_uid="rules_engine.watcher")
        for model in (Rule, RuleAction):
            for signal in (post_save, post_delete):
                signal.connect(watcher.rule_changed, sender=model, dispatch_uid="rules_engine.changed")
        post_save.connect(watcher.rule_saved, sender=Rule, dispatch_uid="rules_engine.saved")
        post_delete.connect(watcher.rule_deleted, sender=Rule, dispatch_uid="rules_engine.deleted")
        if conf.refresh() == "request":
            request_started.connect(watcher.started, dispatch_uid="rules_engine.request")
            task_prerun.connect(watcher.started, dispatch_uid="rules_engine.task", weak=False)
