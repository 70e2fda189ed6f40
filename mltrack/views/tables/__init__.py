"""Rows of runs and values as tables that fit a terminal, CSV, JSON and Markdown."""
