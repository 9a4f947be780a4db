"""Rules of one surroundings' own, where the site says ``"own_rules": True``: which are seen and made here, and where
their authors are.

All rules are rows of the same table. One whose ``surroundings`` are empty holds in all; another holds in those alone,
where it was made and where its author is. Elsewhere it is shown at home alone, and changed nowhere else.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from django.contrib.auth import get_user_model
from django.utils.translation import gettext

from rules_engine.surroundings.state import at_home, functions, here, is_home, shown, within


def are_kept_here() -> bool:
    """Say whether these are surroundings with rules of their own: there nothing is to be seen of others' rules."""
    said = functions()
    return said is not None and said.own_rules and not is_home()


def made_here() -> str:
    """Return the surroundings of a rule that is made here, as a text; empty where it is to hold in all."""
    return here() if are_kept_here() else ""


def seen_from_here() -> dict[str, str]:
    """Return the filter of the rules that are shown here: at home all of them, elsewhere those of here."""
    return {"surroundings": here()} if are_kept_here() else {}


def is_changed_here(surroundings: str) -> bool:
    """Say whether a rule of these surroundings may be changed here: where it was made, and its author is known."""
    return surroundings == made_here()


def author_problem(user: Any) -> str:
    """Say why a rule that is written here cannot have this user as its author; empty where it can.

    Where rules hold for all, their authors are looked up at home: where tenants have users of their own, the user of
    the same key there is somebody else, whose rights are not to be had by whoever has that key here. It is the same
    user where it is the same row: hashes of passwords have a salt, so no two are alike by chance.
    """
    said = functions()
    if said is None or not said.home or said.own_rules or is_home():
        return ""
    columns = ("password", user.USERNAME_FIELD)
    with at_home():
        at_home_then = get_user_model()._base_manager.filter(pk=user.pk).values_list(*columns).first()
    if at_home_then == tuple(getattr(user, column) for column in columns):
        return ""
    text = gettext(
        "Rules hold for all here and answer to users of “%(home)s”, where you are not known as you are here: write "
        "them there, or ask who runs this site for rules of your own (own_rules)."
    )
    return text % {"home": shown(said.home)}


def holds_in(of_rule: str, surroundings: str) -> bool:
    """Say whether a rule with these surroundings of its own holds in others."""
    return of_rule in ("", surroundings)


def of_authors(of_rule: str) -> AbstractContextManager[None]:
    """Enter the surroundings in which the author of a rule is. Raises ``NotEntered``."""
    return within(of_rule) if of_rule else at_home()
