"""Records out of the ledger and into it, as files and by SQL."""
