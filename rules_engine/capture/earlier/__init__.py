"""What was there before a change: stored values, and what a pre-signal leaves for its post-signal."""
