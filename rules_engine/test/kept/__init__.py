"""The tests that are kept with rules: their samples, and running them."""
