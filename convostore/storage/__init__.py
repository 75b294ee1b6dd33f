"""The repository layer: the only place that knows SQL."""
