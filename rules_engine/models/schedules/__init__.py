"""Tables of what is told without a signal: by time, or because somebody asks for it."""
