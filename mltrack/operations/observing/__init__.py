"""What a run's processes read and wrote: who watches, and what it comes to in the record."""
