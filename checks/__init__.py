"""What to measure and how to judge it. Pure: no connection, no clock, no file, no network."""
