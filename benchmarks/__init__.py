"""What is measured, each with one command; never part of the tests."""
