"""What the numbers say of each factor; no view computes."""
