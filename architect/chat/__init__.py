"""Conversations that lose nothing: the server produces an answer whether or not anyone is looking."""
