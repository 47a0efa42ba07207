"""What an answer took: tokens, and where each count comes from."""
