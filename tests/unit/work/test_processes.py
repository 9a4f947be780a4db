"""Several processes of one worker: what is said of one that ended."""

from __future__ import annotations

import pytest

from rules_engine.work.standalone.processes import _how


@pytest.mark.parametrize(
    ("code", "said"), [(-9, "SIGKILL"), (-40, "signal 40"), (0, "exit status 0"), (3, "exit status 3")]
)
def test_how_a_process_ended_is_said_of_each_signal(code: int, said: str) -> None:
    assert _how(code) == said
