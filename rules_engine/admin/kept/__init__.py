"""The tests that are kept with a rule: keeping them, seeing what came of them, and before a rule is switched on."""
