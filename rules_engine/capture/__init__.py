"""From a signal to what is to be done: read what happened, match, decide, and write it down."""
