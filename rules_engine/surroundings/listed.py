"""All surroundings of a site, where it lists them (``"every"``): in each of them rules on time of all look for objects.

A *place* is the text by which rows of such rules are told apart: that of the surroundings, empty for home, where
workers begin.
"""

from __future__ import annotations

from typing import Any

from rules_engine.surroundings.state import at_home, functions, here, text_of

HOME = ""


def are_listed() -> bool:
    """Say whether the site lists its surroundings."""
    said = functions()
    return said is not None and said.every is not None


def places_of(model: Any) -> frozenset[str]:
    """Return the places in which a model has objects of its own, or in which something is due that is about no model
    (None). Home alone where the site lists none.

    Raises ``SettingsError``, ``NotEntered``, and what the site's own function raises.
    """
    said = functions()
    if said is None or said.every is None:
        return frozenset((HOME,))
    with at_home():
        return frozenset(place_of(text_of(value)) for value in said.every(model))


def place_of(text: str) -> str:
    """Return the surroundings of a row as a place."""
    said = functions()
    return HOME if said is not None and text == said.home else text


def place_here(of_rule: str = "") -> str:
    """Return the place by which what is kept of a rule here is found: home where the site lists none, and for a rule
    that says itself where it holds. Raises as ``here``."""
    return place_of(here()) if are_listed() and not of_rule else HOME
