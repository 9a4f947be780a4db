"""Who may read figures: whoever has the token, and staff who may view rules."""

from __future__ import annotations

import secrets
from typing import Any


def has_token(authorization: str, token: str) -> bool:
    """Say whether the header ``Authorization`` holds this token; never where there is none."""
    scheme, _, given = authorization.partition(" ")
    is_bearer = scheme.lower() == "bearer" and token != ""
    return is_bearer and secrets.compare_digest(given.strip().encode("utf-8", "replace"), token.encode())


def is_staff(user: Any) -> bool:
    """Say whether the user is of the staff and may view rules."""
    is_known = user is not None and user.is_active and user.is_staff
    return bool(is_known and user.has_perm("rules_engine.view_rule"))
