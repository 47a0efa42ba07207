"""Who may answer a request, in which order, and who is out: pure decisions over an immutable snapshot."""
