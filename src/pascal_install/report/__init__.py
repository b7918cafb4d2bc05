"""Values in, words out."""
