"""Asking the ledger, and looking at what it answers: runs as lists, comparisons, plots and reports."""
