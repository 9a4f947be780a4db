"""Rules tried without consequence: on an object with a change made up, and on what was recorded."""
