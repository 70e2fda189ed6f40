"""Records and events into the tables and out again, proved: packed, derived, taken over in bulk."""
