"""Pure comparison: two runs go in, their differences or a verdict come out.

No clock or database is touched, and of files only the bytes that are handed in.
"""
