"""A PostgreSQL or MySQL database as the store: check driver, permissions and schema before MLflow opens it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cryptoml.errors import AccessError, ConfigError, CryptomlError, UnavailableError
from cryptoml.tracking.store import server_probe
from cryptoml.tracking.store.errors import masked, translate_store_errors
from cryptoml.tracking.store.quiet import import_mlflow
from cryptoml.tracking.store.schema_revisions import known_revisions

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, Connection

PORTS = {"postgresql": 5432, "postgres": 5432, "mysql": 3306, "mssql": 1433}
INSTALL = {
    "postgresql": "pip install 'cryptoml[postgres]'",
    "mysql": "pip install 'cryptoml[mysql]'",
    "mssql": "pip install pymssql",
}
# Drivers to try, in this order, if the address names none.
DRIVERS = {"postgresql": ("psycopg", "psycopg2"), "mysql": ("pymysql", "mysqldb")}
LOCK_NAME = "cryptoml-mlflow-schema"
# PostgreSQL identifies advisory locks by an integer, which must be the same in every process.
LOCK_NUMBER = 0x63727970746F
LOCK_WAIT_S = 120


def prepare(uri: str, *, timeout_s: float, artifacts_root: str | None) -> str:
    """Check the database at `uri`, create MLflow's tables if it is empty, and return the address for MLflow.

    A database lock guards the creation, so that processes can start concurrently. An older schema is not migrated,
    because other clients and servers may still need it. Raises ConfigError for a missing driver or database or an
    unusable schema, AccessError for rejected credentials or missing permissions, UnavailableError if the database is
    unreachable.
    """
    url = _url(uri)
    family = url.get_backend_name()
    _check_driver(url, family)
    server_probe.probe_tcp(uri, timeout_s=timeout_s, default_port=PORTS[family])
    address = url.render_as_string(hide_password=False)
    with _translate_errors(address), translate_store_errors(address, "open the database"):
        try:
            server_probe.run_with_timeout(
                max(timeout_s, LOCK_WAIT_S), lambda: _check_schema(url, address, timeout_s, artifacts_root)
            )
        except TimeoutError:
            raise UnavailableError(
                f"{masked(address)}: the database does not respond.", hint="check the server; cryptoml doctor mlflow"
            ) from None
    return address


def _url(uri: str) -> URL:
    """Parse the address; if it names no driver, choose an installed one."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(uri)
    except (ArgumentError, ValueError):
        raise ConfigError(
            f"{masked(uri)}: is not a valid database address.",
            hint="use postgresql://USER:PASSWORD@HOST:5432/DATABASE; percent-encode special characters of the password",
        ) from None
    if not url.database:
        raise ConfigError(
            f"{masked(uri)}: the address names no database.", hint=f"add one: {masked(uri).rstrip('/')}/mlflow"
        )
    # Some services provide postgres:// addresses, which SQLAlchemy does not support.
    if url.drivername == "postgres":
        url = url.set(drivername="postgresql")
    # SQLAlchemy's default driver depends on its version and may not be installed: use any installed driver.
    for driver in DRIVERS.get(url.drivername, ()):
        named = url.set(drivername=f"{url.drivername}+{driver}")
        if _has_driver(named):
            return named
    return url


def _has_driver(url: URL) -> bool:
    try:
        url.get_dialect().import_dbapi()
    except ImportError:
        return False
    return True


def _check_driver(url: URL, family: str) -> None:
    from sqlalchemy.exc import NoSuchModuleError

    try:
        is_installed = _has_driver(url)
    except NoSuchModuleError:
        is_installed = False
    if not is_installed:
        raise ConfigError(
            f"{masked(str(url))}: the driver for {family} is not installed.",
            hint=f"{INSTALL[family]}, or choose another driver: {family}+DRIVER://...",
        )


def _check_schema(url: URL, address: str, timeout_s: float, artifacts_root: str | None) -> None:
    import sqlalchemy

    options = {"psycopg2": "connect_timeout", "psycopg": "connect_timeout", "pymysql": "connect_timeout"}
    option = options.get(url.get_driver_name())
    engine = sqlalchemy.create_engine(url, connect_args={option: max(2, round(timeout_s))} if option else {})
    try:
        with engine.connect() as connection:
            # Without the lock, tables that another process is creating would look like an older or a foreign schema.
            if _has_current_schema(connection):
                return
            with _schema_lock(connection, address):
                if not _is_ready(connection, address):
                    _create(address, artifacts_root)
    finally:
        engine.dispose()


def _inspect(connection: Connection) -> tuple[set[str], set[str]]:
    """Return the names of all tables and the schema revisions."""
    import sqlalchemy

    connection.rollback()
    tables = set(sqlalchemy.inspect(connection).get_table_names())
    revisions: set[str] = set()
    if "alembic_version" in tables:
        rows = connection.execute(sqlalchemy.text("SELECT version_num FROM alembic_version"))
        revisions = {str(row[0]) for row in rows}
    connection.rollback()
    return tables, revisions


def _has_current_schema(connection: Connection) -> bool:
    tables, revisions = _inspect(connection)
    return "experiments" in tables and revisions == {known_revisions()[0]}


def _is_ready(connection: Connection, uri: str) -> bool:
    """Return whether MLflow's tables exist and are current; False for an empty database. Raises for other states."""
    tables, revisions = _inspect(connection)
    if not tables - {"alembic_version"} and not revisions:
        return False
    head, known = known_revisions()
    if revisions == {head} and "experiments" in tables:
        return True
    if not revisions & known:
        if "experiments" in tables and revisions:
            raise ConfigError(
                f"{masked(uri)}: a newer MLflow created this database (schema {', '.join(sorted(revisions))}).",
                hint="update mlflow, or set another database in MLFLOW_TRACKING_URI",
            )
        raise ConfigError(
            f"{masked(uri)}: the database has tables of another application, not of MLflow.",
            hint="create a database for MLflow alone: CREATE DATABASE mlflow",
        )
    raise ConfigError(
        f"{masked(uri)}: the database has an older schema ({', '.join(sorted(revisions))}) than this MLflow's "
        f"({head}). It is not migrated here, because other clients and servers may still need it.",
        hint='with their agreement and a backup: mlflow db upgrade "$MLFLOW_TRACKING_URI"',
    )


@contextmanager
def _schema_lock(connection: Connection, uri: str) -> Iterator[None]:
    """Hold a database lock; the database releases it if the connection is lost."""
    import sqlalchemy

    if connection.dialect.name == "postgresql":
        connection.execute(sqlalchemy.text(f"SET lock_timeout = '{LOCK_WAIT_S}s'"))
        connection.execute(sqlalchemy.text(f"SELECT pg_advisory_lock({LOCK_NUMBER})"))
        release = f"SELECT pg_advisory_unlock({LOCK_NUMBER})"
    elif connection.dialect.name in ("mysql", "mariadb"):
        held = connection.execute(sqlalchemy.text(f"SELECT GET_LOCK('{LOCK_NAME}', {LOCK_WAIT_S})")).scalar()
        if held != 1:
            raise UnavailableError(f"{masked(uri)}: another process is creating the tables.", hint="try again")
        release = f"SELECT RELEASE_LOCK('{LOCK_NAME}')"
    else:
        yield
        return
    connection.commit()
    try:
        yield
    finally:
        connection.execute(sqlalchemy.text(release))
        connection.commit()


def _create(uri: str, artifacts_root: str | None) -> None:
    import_mlflow()
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    # Opening the store creates the tables and MLflow's default experiment, with its artifacts below the root.
    SqlAlchemyStore(uri, artifacts_root or "mlflow-artifacts:/").engine.dispose()


@contextmanager
def _translate_errors(uri: str) -> Iterator[None]:
    try:
        yield
    except CryptomlError as error:
        raise _specific_error(error, uri) from error.__cause__


def _specific_error(error: CryptomlError, uri: str) -> CryptomlError:
    """Return a more specific error if the database server's message identifies the cause."""
    cause: Any = error.__cause__
    text = " ".join(str(cause or "").split())
    where = masked(uri)
    name = urlsplit(uri).path.strip("/")
    if re.search(
        r"password authentication failed|no password supplied|Access denied for user \S+ \(using|pg_hba\.conf", text
    ):
        return AccessError(
            f"{where}: the database rejected this user.",
            hint="check user and password in MLFLOW_TRACKING_URI; percent-encode special characters in the password",
        )
    if re.search(r"role \"?[^ ]+\"? does not exist", text):
        return AccessError(f"{where}: this user does not exist.", hint="check the user in MLFLOW_TRACKING_URI")
    if re.search(r"database \"?[^ ]+\"? does not exist|Unknown database", text):
        return ConfigError(f"{where}: this database does not exist.", hint=f"create it: CREATE DATABASE {name}")
    if re.search(r"permission denied|Access denied for user .* to database|command denied", text):
        return AccessError(
            f"{where}: this user has no permission to create or use MLflow's tables.",
            hint=f"ask the owner: GRANT ALL ON SCHEMA public TO USER; in MySQL: GRANT ALL ON {name}.* TO USER",
        )
    if "lock timeout" in text:
        return UnavailableError(f"{where}: another process is creating the tables.", hint="try again")
    return error
