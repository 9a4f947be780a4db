"""Files that rows name: when one may be removed, and its removal."""
