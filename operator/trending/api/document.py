"""The run document: all that a run is told, handed to its pod as a file.

It travels as an annotation of the pod, mounted by the downward API: never as an environment variable, where Kubernetes
would rewrite the `$$` and `$(..)` that SQL has.
"""

from pathlib import PurePosixPath
from typing import Final, Literal

from trending.api.instant import Instant
from trending.api.model import ApiModel
from trending.api.names import API_VERSION
from trending.api.spec import TrendingScheduleSpec

Trigger = Literal["Schedule", "Manual"]

RUN_DIRECTORY: Final = PurePosixPath("/etc/trending")
"""Where a run's pod finds what it was given: one volume, mounted here."""
DOCUMENT_FILE: Final = PurePosixPath("run.json")
DATABASE_URI_FILE: Final = PurePosixPath("database/uri")
CA_CERTIFICATE_FILE: Final = PurePosixPath("ca/ca.crt")
CLIENT_CERTIFICATE_FILE: Final = PurePosixPath("client/tls.crt")
CLIENT_KEY_FILE: Final = PurePosixPath("client/tls.key")

MAX_DOCUMENT_BYTES: Final = 192 * 1024
"""Annotations of an object share 256 KiB; the rest is the user's and Kubernetes' own."""
MAX_USER_ANNOTATION_BYTES: Final = 16 * 1024


class RunDocument(ApiModel):
    """What a run is told: which run it is, until when it may work, and the spec as it was when the run was started."""

    api_version: Literal["trending.dev/v1"] = API_VERSION
    namespace: str
    """The schedule's namespace."""
    name: str
    """The schedule's name."""
    uid: str
    """The schedule's uid; with the Job's name it identifies the run in the ledger."""
    job: str
    """The Job's name."""
    trigger: Trigger
    """Whether a slot or a request by hand started it."""
    scheduled_time: Instant
    """The slot, or for a run by hand the second its Job was created in."""
    deadline: Instant
    """When the runner stops by itself: early enough that its report is read before the Job controller deletes the
    pod."""
    spec: TrendingScheduleSpec
    """The spec snapshot."""

    @property
    def run_id(self) -> str:
        """What names the run in the ledger: the same for every attempt of its Job."""
        return f"{self.uid}/{self.job}"

    @classmethod
    def parse(cls, text: str | bytes) -> "RunDocument":
        """Read a document as the controller wrote it. Raises pydantic's ValidationError (a ValueError) where it is
        none."""
        return cls.model_validate_json(text)
