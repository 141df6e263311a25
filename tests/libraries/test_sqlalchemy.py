"""SQLAlchemy: a column of PickleType, and the table that Beaker makes of one for its sessions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from beaker.ext.database import DatabaseNamespaceManager as Database
from beaker.session import Session

import plainpickle
from tests.libraries.canary import SESSION, Canary, assert_session
from tests.libraries.conftest import ATTACK, Refusals


class Column:
    """One value in a database, behind a PickleType with this pickler."""

    def __init__(self, engine: sa.Engine, pickler: Any = None) -> None:
        held: sa.Column[Any] = sa.Column("held", sa.PickleType(pickler=pickler))
        self._engine, self._table = engine, sa.Table("session", sa.MetaData(), held)

    def write(self, value: Any) -> None:
        with self._engine.begin() as connection:
            self._table.drop(connection, checkfirst=True)
            self._table.create(connection)
            connection.execute(self._table.insert().values(held=value))

    def read(self) -> Any:
        with self._engine.connect() as connection:
            return connection.scalar(sa.select(self._table.c.held))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'shop.db'}")
    yield engine
    engine.dispose()


def test_a_column_of_either_reads_under_the_other(engine: sa.Engine) -> None:
    stock, plain = Column(engine), Column(engine, plainpickle)
    for writer, reader in ((stock, plain), (plain, stock)):
        writer.write(SESSION)
        assert_session(reader.read())


def test_a_canary_in_a_column_sings_under_stock_pickle_only(
    engine: sa.Engine, canary: Canary, refusals: Refusals
) -> None:
    stock, plain = Column(engine), Column(engine, plainpickle)
    stock.write(canary)
    with pytest.raises(plainpickle.ForbiddenGlobal):
        plain.read()
    with plainpickle.install("sqlalchemy.sql.sqltypes"), pytest.raises(plainpickle.ForbiddenGlobal):
        Column(engine).read()
    assert not canary.sang()
    assert refusals() == ATTACK * 2
    stock.read()
    assert canary.sang()


def test_beaker_s_table_of_sessions_is_made_while_pickle_is_replaced_there(
    engine: sa.Engine, canary: Canary, refusals: Refusals
) -> None:
    def session(identity: str | None = None) -> Session:
        Database.tables.dict.clear()  # Beaker keeps tables and engines for the process
        Database.binds.dict[str(engine.url)] = engine
        return Session({}, id=identity, use_cookies=False, type="ext:database", url=str(engine.url))

    first = session()
    first["held"] = SESSION
    first.save()
    with plainpickle.install("sqlalchemy.sql.sqltypes", "beaker.util"):
        again = session(first.id)
        assert_session(again["held"])
        again.save()
    again = session(first.id)
    assert_session(again["held"])
    again.namespace.acquire_write_lock()
    again.namespace["session"] = canary
    again.namespace.release_write_lock()
    replaced = plainpickle.install("sqlalchemy.sql.sqltypes", "beaker.util")
    with replaced, pytest.raises(plainpickle.ForbiddenGlobal):
        session(first.id)
    assert not canary.sang()
    assert refusals() == ATTACK
    with suppress(AttributeError):  # what the canary leaves is no text
        session(first.id)
    assert canary.sang()
