"""What an environment is and how it may change. Pure: imports itself and the standard library, and knows nothing of AWS."""
