"""Records, events and reports in the platform's one table."""
