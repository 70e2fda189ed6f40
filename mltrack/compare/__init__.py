"""Pure comparison: two runs go in, their differences or a verdict come out. No file, clock or database is touched."""
