"""Signed outbound webhooks, as an action of the rules engine."""
