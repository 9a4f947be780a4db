"""Which writes the rules on a model see, by which means, and what mends it where they miss some."""
