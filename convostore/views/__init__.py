"""From the record to what one model call is sent. The record itself is never rewritten."""
