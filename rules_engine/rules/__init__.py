"""Rules as data: conditions, validation, compilation, matching."""
