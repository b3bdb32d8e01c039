"""The searches that are replayed, ours and others."""
