"""Settings of a site whose hints go to a queue of its own, on a broker that others use too."""

from __future__ import annotations

import os

from project.settings import *  # noqa: F403

RULES_ENGINE = {"QUEUE": os.environ["TEST_QUEUE"]}
