"""Programs of others, written as their users write them."""
