"""What a shell proposes behind a half-typed command."""
