"""What a test kept with a rule expects, and in words how what came differs."""
