"""Tags for the pages of a site."""
