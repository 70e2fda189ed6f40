"""Plots drawn: with matplotlib as pictures, and as text."""
