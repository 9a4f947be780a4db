"""Rules on time: the kinds of schedules, what is wrong with one, and when it is due. Pure: clocks are given."""
