"""A signal that the site's own code sends when somebody has looked at a CV.

Nothing registers it: ``RULES_ENGINE["SIGNALS"]`` names it by its dotted path, as a site does for other people's apps.
"""

from __future__ import annotations

from django.dispatch import Signal

#: ``instance``: the User; ``is_accepted``; ``checked_by``: who looked at it, as text; ``remarks``: what to do better.
cv_checked = Signal()
