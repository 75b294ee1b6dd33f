"""Rows and bytes of other programs to records and back; pure."""
