"""The Lambda: what it decides (pure), what it does (adapters), how it is called (handler)."""
