"""Opens files, wheels, environments and addresses, and lets `binary` read them."""
