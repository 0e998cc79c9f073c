"""How fast fedzmq is beside its peers, measured on the machine at hand: one file for each figure."""
