"""Detects the ref that a webhook of {{name}} announces.

This module does not depend on WebAssembly, so the tests run it natively.
"""

from dataclasses import dataclass
from typing import Optional, Protocol, Union

NAME = "{{name}}"
VERSION = "0.1.0"
SUMMARY = "Releases of {{name}}"

# A delivery without a value at this JSON pointer is not offered to the plugin.
POINTER = "/{{ident}}"


class Request(Protocol):
    """The functions of a request that the detection uses. wit/detect.wit has more."""

    def kind_at(self, pointer: str) -> Optional[object]:
        """Returns the kind of the value at a JSON pointer, or None."""

    def string_at(self, pointer: str) -> Optional[str]:
        """Returns the string at a JSON pointer, or None."""


@dataclass(frozen=True)
class NotMine:
    """The request is of another format; the next plugin is called."""


@dataclass(frozen=True)
class Ignored:
    """The request is of this format and calls for no action."""

    reason: str


@dataclass(frozen=True)
class Found:
    """The request announces a ref."""

    git_ref: str
    commit: Optional[str]
    repositories: list[str]


class Malformed(Exception):
    """The request is of this format and malformed; the text is for the sender."""


def detect(request: Request) -> Union[NotMine, Ignored, Found]:
    """Detects the ref of a request."""
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
