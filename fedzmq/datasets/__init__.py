"""Data sets that live on workers, and the batches that programs written for PySyft take from them."""
