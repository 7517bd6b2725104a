"""What a webhook of {{name}} announces.

Nothing here knows of WebAssembly, so the tests run it as it is.
"""

from dataclasses import dataclass
from typing import Optional, Protocol, Union

NAME = "{{name}}"
VERSION = "0.1.0"
SUMMARY = "Releases of {{name}}"

# The plugin is asked where there is a value at this JSON pointer.
POINTER = "/{{ident}}"


class Request(Protocol):
    """What the detection needs to know of a request. The interface offers more: wit/detect.wit tells what."""

    def kind_at(self, pointer: str) -> Optional[object]:
        """The kind of the value at a JSON pointer; None where there is no value."""

    def string_at(self, pointer: str) -> Optional[str]:
        """The string at a JSON pointer, if there is one."""


@dataclass(frozen=True)
class NotMine:
    """Another format: the next plugin is asked."""


@dataclass(frozen=True)
class Ignored:
    """This format, and nothing to do."""

    reason: str


@dataclass(frozen=True)
class Found:
    """A ref."""

    git_ref: str
    commit: Optional[str]
    repositories: list[str]


class Malformed(Exception):
    """This format, and malformed, in words for the sender."""


def detect(request: Request) -> Union[NotMine, Ignored, Found]:
    """Looks at one request."""
    if request.kind_at(POINTER) is None:
        return NotMine()
    event = _required(request, "/{{ident}}/event")
    if event != "released":
        return Ignored(f"event {event}")
    repository = request.string_at("/{{ident}}/repository")
    return Found(
        git_ref=_required(request, "/{{ident}}/tag"),
        commit=request.string_at("/{{ident}}/commit"),
        repositories=[] if repository is None else [repository],
    )


def _required(request: Request, pointer: str) -> str:
    value = request.string_at(pointer)
    if value is None:
        raise Malformed(f"{pointer} is missing")
    return value
