"""One trial from start to end: updates, evaluation, adversarial terms."""
