"""Fakes of the orchestrator's ports, for tests that need no cloud."""
