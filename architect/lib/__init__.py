"""Leaf helpers without models: nothing here knows a room of the product."""
