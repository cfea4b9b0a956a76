"""Clients of fibfactory's HTTP API."""
