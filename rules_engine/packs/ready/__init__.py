"""The forms of ready templates: what each asks, what it offers of the chosen model, and the rule that comes of it."""
