"""What is so: the GPUs, the driver and the Python of a machine. Read, never decided."""
