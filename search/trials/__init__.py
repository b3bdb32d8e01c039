"""What a study and its trials are on disk."""
