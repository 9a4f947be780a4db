"""Rules tested without effect: on an object with a change made up, and on what was recorded."""
