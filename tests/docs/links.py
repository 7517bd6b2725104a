#!/usr/bin/env python3
"""Checks the links between the project's documents: each file is there, and each heading that one points at.

Pages of the book link to pages of the book alone, and every page is in its SUMMARY.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "docs"
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
PICTURE = re.compile(r"!\[[^\]]*\]\(([^)\s]+)\)")


def prose(text):
    """The text without its blocks of code."""
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.M | re.S)


def anchors(page):
    """The anchors of the headings, as GitHub and mdBook make them."""
    headings = re.findall(r"^#+ (.*)$", prose(page.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def faults_of(page):
    text = prose(page.read_text())
    for target in LINK.findall(text) + PICTURE.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        to = (page.parent / path).resolve() if path else page
        if not to.exists():
            yield f"{target} is not there"
        elif anchor and anchor not in anchors(to):
            yield f"{target}: there is no such heading"
        elif page.parent == BOOK and to.suffix == ".md" and to.parent != BOOK:
            yield f"{target} leads out of the book"


def main():
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    # What `stoker plugin new` writes has links of its own, to what lies beside it then.
    pages = [ROOT / name for name in listed.stdout.split() if not name.startswith("host/templates/")]
    faults = [f"{page.relative_to(ROOT)}: {fault}" for page in pages for fault in faults_of(page)]
    summary = (BOOK / "SUMMARY.md").read_text()
    faults += [f"docs/{page.name} is not in SUMMARY.md" for page in BOOK.glob("*.md")
               if page.name != "SUMMARY.md" and f"({page.name})" not in summary]
    for fault in faults:
        print(fault, file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
