"""For tests of sites that use rules; the plugin ``rules_engine.pytest_plugin`` forgets rules after each test.

Names are loaded when they are first used: ``rules_engine.testing.faults`` begins before Django has its settings.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rules_engine.testing.contract import ActionContractTests as ActionContractTests
    from rules_engine.testing.rules import assert_rule_tests as assert_rule_tests
    from rules_engine.testing.rules import create_rule as create_rule
    from rules_engine.testing.rules import explain as explain
    from rules_engine.testing.rules import refresh as refresh
    from rules_engine.testing.rules import reset as reset
    from rules_engine.testing.rules import run_due as run_due

__all__ = ["ActionContractTests", "assert_rule_tests", "create_rule", "explain", "refresh", "reset", "run_due"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "contract" if name == "ActionContractTests" else "rules"
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return __all__
