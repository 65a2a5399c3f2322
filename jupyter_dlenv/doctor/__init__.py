"""What is wrong with an engine, its GPUs and this machine, and what to try."""
