"""Durable background work: a row per job is the truth, Celery is only the wake-up."""
