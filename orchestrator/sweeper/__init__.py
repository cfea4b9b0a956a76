"""What is due, and where the cloud and the records disagree. Sweeps decide and dispatch; workers do the work."""
