"""What the engine and its apps write to the site's log."""
