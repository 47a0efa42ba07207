#!/usr/bin/env python
"""Django's command line for Architect Dashboard."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "architect.settings")
    from django.core.management import execute_from_command_line

    import architect.celery  # noqa: F401 - binds the application that wake-ups are sent with

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
