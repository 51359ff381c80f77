"""Benchmarks that anybody can run on their own videos: one module each, its tables and figures beside it."""
