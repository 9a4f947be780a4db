"""What people on call are told: figures for monitors, and whether all is well."""
