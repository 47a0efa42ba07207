"""Architect Dashboard: the control plane between a team and its language models.

The project itself (settings, addresses, ASGI and Celery entry points, supervisor) and, as inner
packages, the rooms of the product.
"""
