"""What `make run` starts: web, workers and engine in one terminal."""
