"""Every operation of the list under arguments that no honest client sends: does a worker outlive them?

The calls come as a client's do, as records that the executor runs, in processes whose end is no one's loss.
"""
