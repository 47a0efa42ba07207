"""Real model servers on loopback for tests: slower than the fakes, but nobody had to guess how they behave."""
