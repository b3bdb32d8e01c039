"""Encoder, pooling and heads as one network, and the weights of its losses."""
