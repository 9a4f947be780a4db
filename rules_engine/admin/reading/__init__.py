"""A rule as it is read: in words, beside its other versions, in code, and among others."""
