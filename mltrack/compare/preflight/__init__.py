"""What will make a run hard to get again: concerns, before it starts and by its record, and their grade."""
