#!/usr/bin/env python3
"""Fails where an alert or the dashboard asks for a metric that docs/reference.md does not describe, and where
docs/operations.md does not say what to do about an alert."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "stoker-operator"
ASKERS = [CHART / "templates" / "prometheusrule.yaml", CHART / "files" / "dashboards" / "stoker.json"]
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
    have = described((ROOT / "docs" / "reference.md").read_text())
    faults = []
    for asker in ASKERS:
        for name in sorted(set(NAME.findall(asker.read_text()))):
            if re.sub(r"_bucket$", "", name) not in have:
                faults.append(f"{asker.relative_to(ROOT)} asks for {name}, which docs/reference.md does not describe")
    explained = (ROOT / "docs" / "operations.md").read_text()
    alerts = re.findall(r"- alert: (\w+)", ASKERS[0].read_text())
    faults += [f"docs/operations.md says nothing of {alert}" for alert in alerts if f"| {alert} |" not in explained]
    for fault in faults:
        print(fault, file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
