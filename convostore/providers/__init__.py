"""The far side: what turns a history into deltas."""
