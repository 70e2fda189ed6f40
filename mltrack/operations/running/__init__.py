"""The corridor of a run, from its capture to its sealed record."""
