"""An app of test workers: actions that keep a ledger of what they did, and that stall or die on the way."""
