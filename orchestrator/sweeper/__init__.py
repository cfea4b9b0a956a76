"""What is due, and where the cloud and the records disagree. SweepService decide and dispatch; workers do."""
