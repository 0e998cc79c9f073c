"""A federation as its user holds it: workers, trainings on them, and what is seen and kept of these."""
