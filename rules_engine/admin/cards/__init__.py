"""What stands in the cards of a rule's form, and beside them."""
