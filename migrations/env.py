"""What alembic runs for each command: the whole upgrade is one transaction, or nothing of it.

The package hands over a connection whose transaction has begun. A developer's `alembic` names a
store instead: `alembic -x db=FILE ...` or `alembic -x db=postgresql://...`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import context
from alembic.util import CommandError

from convostore.storage.access import BUSY_TIMEOUT_S
from convostore.storage.address import address_of
from convostore.storage.migrate import transaction
from convostore.storage.tables import VERSION_TABLE, metadata

if TYPE_CHECKING:
    from sqlalchemy import Connection


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        transactional_ddl=True,
        transaction_per_migration=False,
        render_as_batch=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def _run_on_named_store() -> None:
    name = context.get_x_argument(as_dictionary=True).get("db")
    if name is None:
        raise CommandError("name the store: alembic -x db=FILE ...")
    where = address_of(name)
    if isinstance(where, Path):
        with transaction(where) as connection:
            _run(connection)
    else:
        from convostore.storage.postgres_schema import run_in_transaction

        run_in_transaction(where, lambda connection, _: _run(connection), BUSY_TIMEOUT_S)


if context.is_offline_mode():
    raise CommandError("SQL scripts are not made: a revision has to see the store it changes")
if handed_over := context.config.attributes.get("connection"):
    _run(handed_over)
else:
    _run_on_named_store()
