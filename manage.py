#!/usr/bin/env python
"""Django's command line for Architect Dashboard."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "architect.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        import architect.celery  # noqa: F401 - binds the application that wake-ups are sent with

        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as failure:
        sys.exit(f"A setting in the environment or in .env can't be read: {failure}")


if __name__ == "__main__":
    main()
