"""The run ledger: every round is committed before it counts, so that a killed coordinator goes on where it was."""
