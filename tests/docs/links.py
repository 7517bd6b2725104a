#!/usr/bin/env python3
"""Checks the links between the project's documents: each target exists, with its heading.

Pages of the book link to pages of the book only, and every page is in its SUMMARY.
"""

import re

from pages import ROOT, end, pages, without_fences

BOOK = ROOT / "docs"
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
PICTURE = re.compile(r"!\[[^\]]*\]\(([^)\s]+)\)")


def anchors(page):
    """The anchors of the headings, as GitHub and mdBook make them."""
    headings = re.findall(r"^#+ (.*)$", without_fences(page.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def faults_of(page):
    text = without_fences(page.read_text())
    for target in LINK.findall(text) + PICTURE.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        to = (page.parent / path).resolve() if path else page
        if not to.exists():
            yield f"{target} does not exist"
        elif anchor and anchor not in anchors(to):
            yield f"{target}: there is no such heading"
        elif page.parent == BOOK and to.suffix == ".md" and to.parent != BOOK:
            yield f"{target} is not in the book"


def main():
    faults = [f"{page}: {fault}" for page in pages() for fault in faults_of(ROOT / page)]
    summary = (BOOK / "SUMMARY.md").read_text()
    faults += [
        f"docs/{page.name} is not in SUMMARY.md"
        for page in BOOK.glob("*.md")
        if page.name != "SUMMARY.md" and f"({page.name})" not in summary
    ]
    end(faults)


if __name__ == "__main__":
    main()
