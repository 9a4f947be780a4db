"""Runs of one rule on what is there: beginning, telling, cancelling."""
