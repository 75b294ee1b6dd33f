"""Adapters to frameworks and bots; each imports its framework only when used."""
