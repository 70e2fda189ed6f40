"""A run and its repetition -> a graded verdict with its reasons. Pure."""
