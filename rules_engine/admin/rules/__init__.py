"""The list of rules, the form, and what is done to a rule from either."""
