"""The pages of the project's documents, for the checks of all of them."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def pages():
    """Their paths from the root. The templates of `stoker plugin new` are not pages of the project."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [page for page in listed.stdout.split() if not page.startswith("host/author/templates/")]


def without_fences(text):
    """The text without fenced blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.M | re.S)


def end(faults):
    """Prints the faults and exits."""
    for fault in faults:
        print(fault, file=sys.stderr)
    sys.exit(1 if faults else 0)
