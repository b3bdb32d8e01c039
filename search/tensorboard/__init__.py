"""Trials as TensorBoard sees them: events, hyperparameters, the server."""
