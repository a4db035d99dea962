"""Charts for an incident's thread: what to draw, the drawing, and putting them there."""
