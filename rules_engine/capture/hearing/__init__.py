"""Who hears of what: of many-to-many relations, and of what triggers tell in the place of signals."""
