"""Where a change comes from, kept for whoever tells rules of it later: as JSON, and with the database."""
