"""Pretrained encoders behind one packed interface."""
