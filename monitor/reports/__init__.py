"""Evidently's HTML report on an incident of drift: made after the fact, in a process of its own, kept for a while."""
