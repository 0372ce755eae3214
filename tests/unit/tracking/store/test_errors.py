"""Translation of database driver errors."""

from __future__ import annotations

import pytest

from cryptoml.errors import UnavailableError
from cryptoml.tracking.store.errors import translate_store_errors

URI = "postgresql://ada:s3cret@db.example.org/mlflow"


def test_the_reason_of_a_database_error_has_no_documentation_link() -> None:
    from sqlalchemy.exc import OperationalError

    class ConnectionTimeout(Exception):
        """An error of psycopg."""

    with pytest.raises(UnavailableError) as caught, translate_store_errors(URI, "open the database"):
        raise OperationalError("", {}, ConnectionTimeout("connection timeout expired"), code="e3q8")
    assert "connection timeout expired" in caught.value.fact
    assert "Background" not in caught.value.fact
    assert "ConnectionTimeout" not in caught.value.fact
    assert "s3cret" not in str(caught.value)
    assert "check the address and the network" in caught.value.hint
