"""What runs on the nodes: one trial in a Ray actor, and its helper processes."""
