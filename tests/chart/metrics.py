#!/usr/bin/env python3
"""Fails where an alert or the dashboard asks for a metric that docs/operations.md does not describe."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "stoker-operator"
ASKERS = [CHART / "templates" / "prometheusrule.yaml", CHART / "files" / "dashboards" / "stoker.json"]
# What the host does not count yet. An alert on one of them is silent until it does.
PENDING = set()
NAME = re.compile(r"\bstoker_[a-z_]+[a-z]\b")


def described(text):
    """The names in the table of metrics; `_x` after a name stands for another with the same beginning."""
    names = set()
    for line in text.splitlines():
        cell = line.split("|")[1] if line.startswith("| `stoker_") else ""
        first, *others = re.findall(r"`([a-z_]+)`", cell) or [""]
        names.add(first)
        names |= {"stoker_controller" + other for other in others}
    return names - {""}


def main():
    have = described((ROOT / "docs" / "operations.md").read_text())
    faults = [f"{name} is described by now: take it off the list in {Path(__file__).name}" for name in PENDING & have]
    for asker in ASKERS:
        for name in sorted(set(NAME.findall(asker.read_text())) - PENDING):
            if re.sub(r"_bucket$", "", name) not in have:
                faults.append(f"{asker.relative_to(ROOT)} asks for {name}, which docs/operations.md does not describe")
    for fault in faults:
        print(fault, file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
