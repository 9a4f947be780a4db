"""JSONLogic: compile, check, evaluate, trace and explain a condition."""
