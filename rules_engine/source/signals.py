"""Where a signal is imported from."""

from __future__ import annotations

import sys
from typing import Any

from django.apps import apps

from rules_engine.context.signals import MODEL_SIGNALS
from rules_engine.source.literals import quoted
from rules_engine.source.writer import Module

DJANGOS = (
    "django.db.models.signals",
    "django.core.signals",
    "django.contrib.auth.signals",
    "django.db.backends.signals",
    "django.test.signals",
)


def signal_name(module: Module, name: str, signal: Any) -> str:
    """Import the signal; what it is called here. One that no module holds is looked up where it was registered."""
    if name in MODEL_SIGNALS:
        return module.use("django.db.models.signals", name)
    home = _home(signal)
    if home is not None:
        return module.use(*home)
    return f"{module.use('rules_engine.context.signals', 'find_signal')}({quoted(name)}).signal"


def _home(signal: Any) -> tuple[str, str] | None:
    installed = tuple(f"{config.name}." for config in apps.get_app_configs())
    own = sorted(name for name in sys.modules if f"{name}.".startswith(installed))
    for name in (*DJANGOS, *sorted(own, key=lambda name: (not name.endswith("signals"), name))):
        for attribute, value in list(vars(sys.modules[name]).items()) if name in sys.modules else ():
            if value is signal and attribute.isidentifier():
                return name, attribute
    return None
