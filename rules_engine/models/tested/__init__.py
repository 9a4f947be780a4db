"""What a rule is tested with: the tests that are kept with it."""
