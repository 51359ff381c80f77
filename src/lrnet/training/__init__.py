"""Fit networks to landmark stores. Needs the extra `train`."""
