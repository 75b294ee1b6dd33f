"""A paced stream on loopback, reading it, and what a turn that keeps it costs."""
