"""What ships for those who test against fedzmq."""
