"""Drive what goes out and what comes in: files, transactions, reports, limits."""
