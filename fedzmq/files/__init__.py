"""What is on the disk whole or not at all, tensors in files, and who may write into a folder."""
