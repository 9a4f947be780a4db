"""When rules on time act: the page that tells what comes, and why they do not act on an object."""
