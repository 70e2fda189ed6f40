"""Questions to the ledger: which runs, in which order, grouped, by name, by content, by SQL."""
