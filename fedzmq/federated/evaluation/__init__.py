"""How good the model is: measured here or at the workers, by the same metrics."""
