"""Where the database is and what opens it, as a run is given it: a URI and certificates, from files or by hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

from trending.api.document import CA_CERTIFICATE_FILE, CLIENT_CERTIFICATE_FILE, CLIENT_KEY_FILE, DATABASE_URI_FILE
from trending.api.spec import Database
from trending.runner.failure import ConfigurationError
from trending.runner.redact import Redactor

_SHAPE: Final = "postgresql://user:password@host:5432/database, with special characters in the password percent-encoded"


@dataclass(frozen=True)
class Access:
    """What a connection needs to know, and the redactor that keeps it from getting out."""

    parameters: dict[str, str]
    """libpq's connection parameters."""
    origin: str
    """Where they are from, for people: `key uri of Secret discovery-db`."""
    redactor: Redactor

    @property
    def place(self) -> str:
        """Which database of which server, without secrets: `discovery at db.example:5432`."""
        host = self.parameters.get("host") or self.parameters.get("hostaddr") or "the local socket"
        port = self.parameters.get("port", "5432")
        return f"database {self.parameters.get('dbname') or self.parameters.get('user', '')} at {host}:{port}"


def from_uri(uri: str, *, origin: str) -> Access:
    """Read a connection URI, or libpq's `host=.. dbname=..`. Raises ConfigurationError, without a part of it."""
    uri = uri.strip()
    if not uri:
        raise ConfigurationError(f"{origin} is empty: write {_SHAPE}")
    try:
        parameters = {name: str(value) for name, value in conninfo_to_dict(uri).items() if value is not None}
    except psycopg.ProgrammingError:
        parameters = {}
    if not parameters or _is_ambiguous(uri) or not _has_ports(parameters):
        raise ConfigurationError(f"{origin} is no connection URI: write {_SHAPE}")
    redactor = Redactor(uri, parameters.get("password"), parameters.get("sslpassword"))
    return Access(parameters=parameters, origin=origin, redactor=redactor)


def from_files(directory: Path, database: Database, *, namespace: str) -> Access:
    """Read what the Job's pod has mounted below `directory`.

    Raises ConfigurationError, naming Secret and key, where a file is missing: its volume is optional, so that the run
    can say so.
    """
    reference, ca, client = database.secret_key_ref, database.ca_secret_key_ref, database.client_cert_secret_name
    origin = f"key {reference.key} of Secret {reference.name}"
    uri_file = _existing(directory / DATABASE_URI_FILE, reference.name, reference.key or "", namespace)
    access = from_uri(_text(uri_file, origin), origin=origin)
    parameters = dict(access.parameters)
    if ca:
        path = _existing(directory / CA_CERTIFICATE_FILE, ca.name, ca.key or "", namespace)
        # Without a word on it libpq would take an unencrypted connection rather than fail the check against this CA.
        parameters = {"sslmode": "verify-full", **parameters, "sslrootcert": str(path)}
    if client:
        for name, file in (("sslcert", CLIENT_CERTIFICATE_FILE), ("sslkey", CLIENT_KEY_FILE)):
            parameters[name] = str(_existing(directory / file, client, file.name, namespace))
    return Access(parameters=parameters, origin=origin, redactor=access.redactor)


def _existing(path: Path, secret: str, key: str, namespace: str) -> Path:
    if not path.is_file():
        raise ConfigurationError(
            f"Secret {secret} with key {key} does not exist in namespace {namespace}: create it, or correct the names "
            "in spec.database"
        )
    return path


def _text(path: Path, origin: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{origin} cannot be read ({type(error).__name__}): write {_SHAPE}") from None


def _is_ambiguous(uri: str) -> bool:
    """Tell whether an `@` or `/` that is not encoded may have made a part of the password a host or a database.

    libpq would then quote that part in its messages, and nobody could know it for a secret.
    """
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme not in ("postgresql", "postgres"):
        return False
    authority, at, tail = rest.partition("@")
    after = rest if not at or "/" in authority else tail
    return "@" in after.partition("?")[0]


def _has_ports(parameters: dict[str, str]) -> bool:
    """Tell whether the ports are numbers; of `user:pa/ss@host` libpq takes `pa` for one."""
    return all(port.isascii() and port.isdigit() for port in parameters.get("port", "5432").split(","))
