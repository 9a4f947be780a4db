"""Running a rule on what is there: asking for it, choosing objects, how far it is."""
