"""The page that says whether work is done, and what fails."""
