"""The limits: the same work in the standard library's sqlite3, written by hand."""
