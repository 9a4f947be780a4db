"""The app ``webhooks``."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class WebhooksConfig(AppConfig):
    """Endpoints in the admin, and the action that calls them."""

    name = "webhooks"
    verbose_name = _("Webhooks")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from rules_engine.sending import (
            register_drain,
            register_lane_titles,
            register_metrics,
            register_needs,
            register_overview,
        )
        from webhooks import checks, conf
        from webhooks.endpoints import metrics, signals, titles, troubles

        signals.register()
        register_overview("webhooks", troubles.failures_by_endpoint)
        register_lane_titles(conf.QUEUE, titles.titles)
        register_needs("webhooks", troubles.needs)
        register_metrics("webhooks", metrics.METRICS, metrics.read)

        # Without the extra the engine runs deliveries one by one, and each says what is missing.
        if not checks.missing_libraries():
            register_drain(conf.QUEUE, _drain)


def _drain(seconds: float, limit: int | None) -> int:
    # Not before it is needed: aiohttp takes a third of a second to import.
    from webhooks.sending import sender

    return sender.drain(seconds, limit)
