"""The pages that test a rule without effect, and that say why one did not act."""
