"""The picture of what sets off what."""
