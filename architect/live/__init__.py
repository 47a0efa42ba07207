"""What changed, for pages and processes that are open: a numbered row per topic, one watcher a process."""
