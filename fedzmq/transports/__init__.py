"""Media that move frames between named mailboxes and topics."""
