"""How a new SQLite file is laid out, once and before it has tables."""

from typing import Any

from django.db import connections

_INCREMENTAL = 2


def lay_out_new_file(*, using: str, **_: Any) -> None:
    """Lets the file give back space bit by bit; a receiver of `pre_migrate`.

    It is no part of the connection's own set-up, because naming the mode writes to the file each time, so that every
    new connection would wait for whoever is writing.
    """
    connection = connections[using]
    if connection.vendor != "sqlite" or connection.introspection.table_names():
        return
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA auto_vacuum={_INCREMENTAL}")
        cursor.execute("VACUUM")
