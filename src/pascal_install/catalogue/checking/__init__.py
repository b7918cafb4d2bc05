"""Whether the catalogue is true: its files alone, its files against the real wheels, its addresses, its pairs."""
