"""The only writer of requests, attempts and their content; durable by group commit."""
