"""What rules can read of a model and of a signal, and reading it: plain data, bounded, without secrets."""
