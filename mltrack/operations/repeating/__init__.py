"""A past run again: laid out, run, judged."""
