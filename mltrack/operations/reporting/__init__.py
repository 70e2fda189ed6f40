"""What a report tells, gathered; and its file."""
