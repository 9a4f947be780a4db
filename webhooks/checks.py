"""What ``manage.py check`` says about webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's name

from webhooks import conf
from webhooks.errors import MissingExtra

NEEDED = ("aiohttp", "cryptography")


@register(Tags.compatibility)
def settings_are_usable(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """Report webhooks.E001: a key of ``WEBHOOKS`` that does not exist, or a value that cannot be used."""
    return [Error(problem, id="webhooks.E001") for problem in conf.problems()]


@register(Tags.compatibility)
def libraries_are_installed(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """Report webhooks.W001: a library that is needed to store secrets or to send is not installed."""
    return [Warning(str(MissingExtra(library)), id="webhooks.W001") for library in missing_libraries()]


def missing_libraries() -> list[str]:
    """List the libraries of the extra that are not installed."""
    return [library for library in NEEDED if find_spec(library) is None]
