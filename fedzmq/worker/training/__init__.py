"""What a worker does with its owner's data for others: it trains and evaluates, and keeps what stays here."""
