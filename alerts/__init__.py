"""What to say, to whom and when. Knows checks' results; knows no database."""
