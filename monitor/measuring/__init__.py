"""From questions to a profile, inside the source's own engine. Read `measure.py` first; only worker processes come here."""
