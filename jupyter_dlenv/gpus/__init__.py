"""GPUs: which there are, who uses them, which to take."""
