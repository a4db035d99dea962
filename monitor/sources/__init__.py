"""Connecting to sources and reading a window of a dataset."""
