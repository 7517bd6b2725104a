#!/usr/bin/env python3
"""Draws the output of a command as a terminal shows it: `picture.py TITLE FILE.svg < OUTPUT`. Needs the package rich."""

import re
import sys

from rich.console import Console
from rich.highlighter import RegexHighlighter
from rich.terminal_theme import MONOKAI
from rich.theme import Theme


class Steps(RegexHighlighter):
    """Highlights the important parts of the demo's output."""

    base_style = "step."
    highlights = [
        r"(?P<good>\b20\d\b|\[ok\])",
        r"(?P<refused>\b4\d\d\b)",
        r"(?P<url>https?://\S+?)(?=,|\s|$)",
        r"^(?P<number>\d+)  (?P<what>.{26})",
        r"^(?P<prompt>\$) (?P<command>.*)$",
    ]


THEME = Theme(
    {
        "step.good": "bold green",
        "step.refused": "bold yellow",
        "step.url": "cyan",
        "step.number": "dim",
        "step.what": "bold",
        "step.prompt": "dim",
        "step.command": "bold white",
    }
)


def main():
    title, path = sys.argv[1:]
    lines = [line.rstrip() for line in sys.stdin]
    width = max(map(len, lines)) + 1
    console = Console(record=True, file=sys.stderr, width=width, theme=THEME, highlighter=Steps(), force_terminal=False)
    for line in lines:
        console.print(line, markup=False, emoji=False, soft_wrap=True)
    picture = console.export_svg(title=title, theme=MONOKAI, unique_id="demo")
    # Uses fonts of the reader's machine, so that the picture loads nothing.
    picture = re.sub(r"\s*@font-face \{.*?\}", "", picture, flags=re.S)
    picture = picture.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, monospace")
    with open(path, "w", encoding="utf-8") as file:
        file.write(picture)


if __name__ == "__main__":
    main()
