"""Rules as the Django receivers that a developer would have written: pure, a ``RuleSpec`` in and text out."""
