"""Triggers made in a test are gone after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rules_engine.live.triggers import installing
from rules_engine.models import Event, Execution, InstalledTrigger
from rules_engine.testing import refresh


@pytest.fixture
def install(transactional_db: Any) -> Iterator[Callable[..., None]]:
    """Install the triggers of models, known to this process at once, and remove all at the end. What was told before
    is forgotten."""

    def installed(*models: Any, whole: bool = False) -> None:
        for model in models:
            for capture in installing.captures_for(model, whole=whole):
                installing.install(capture, grace=0)
        refresh()
        Execution.objects.all().delete()
        Event.objects.all().delete()

    yield installed
    for label in list(InstalledTrigger.objects.values_list("model", flat=True)):
        installing.remove(label, lambda seconds: None, grace=0)
