"""Signed outbound webhooks, as an action of the rules engine."""

import logging

from rules_engine import keep_to_one_line

keep_to_one_line(logging.getLogger(__name__))
