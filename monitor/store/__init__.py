"""What is kept: the ledger of windows, profiles, results, problems, incidents, deliveries."""
