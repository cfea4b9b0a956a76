"""Each safeguard taken out of a copy of the code, to see that tests and simulator notice."""
