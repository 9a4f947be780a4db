"""A pytest plugin: ``-p rules_engine.pytest_plugin``, or ``pytest_plugins = ["rules_engine.pytest_plugin"]``.

Rules made in a test are live in the process; after the test they are forgotten, as the database forgets them, and so
is what their authors may, and what was counted of their failures.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _forget_rules() -> Iterator[None]:
    yield
    from django.apps import apps

    if apps.ready and apps.is_installed("rules_engine"):
        from rules_engine.live import cache
        from rules_engine.live.authors import trusted
        from rules_engine.troubles import failures

        trusted.forget()
        failures.reset()
        if cache.current() is not cache.EMPTY:
            cache.reset()
