"""The compiled rules of this process: made from the stored ones, and kept fresh."""
