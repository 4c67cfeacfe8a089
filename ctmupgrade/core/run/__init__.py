"""A run as its journal tells it: events, state, report, and what earlier runs left."""
