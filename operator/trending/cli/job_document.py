"""What a Job's pod is told, and the way to its database: read from the files that are mounted in it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click
from pydantic import ValidationError

from trending.api.document import RunDocument
from trending.cli.schedule_file import told
from trending.runner.access import Access, from_files
from trending.runner.failure import ConfigurationError

option: Final = click.option(
    "--document", type=click.Path(path_type=Path), help="What a Job's pod is told; its secrets lie beside it."
)


def read_document(path: Path) -> RunDocument:
    """Read a run document. Raises ConfigurationError."""
    try:
        return RunDocument.parse(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"the run document {path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise ConfigurationError(f"the run document {path} is none: {'; '.join(told(error, 'document'))}") from None


def read_access(path: Path, document: RunDocument) -> Access:
    """Read the secrets beside a run document. Raises ConfigurationError, which names what is missing."""
    return from_files(path.parent, document.spec.database, namespace=document.namespace)
