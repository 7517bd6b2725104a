#!/usr/bin/env python3
"""Fails if an alert or the dashboard uses a metric that docs/reference.md does not describe, or if docs/operations.md
does not describe an alert."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "stoker-operator"
USERS = [CHART / "templates" / "prometheusrule.yaml", CHART / "files" / "dashboards" / "stoker.json"]
NAME = re.compile(r"\bstoker_[a-z_]+[a-z]\b")


def described(text):
    """The names in the table of metrics. `_x` after a name stands for `stoker_controller_x`."""
    names = set()
    for line in text.splitlines():
        cell = line.split("|")[1] if line.startswith("| `stoker_") else ""
        first, *others = re.findall(r"`([a-z_]+)`", cell) or [""]
        names.add(first)
        names |= {other if other.startswith("stoker_") else "stoker_controller" + other for other in others}
    return names - {""}


def main():
    have = described((ROOT / "docs" / "reference.md").read_text())
    faults = []
    for user in USERS:
        for name in sorted(set(NAME.findall(user.read_text()))):
            if re.sub(r"_bucket$", "", name) not in have:
                faults.append(f"{user.relative_to(ROOT)} uses {name}, which docs/reference.md does not describe")
    explained = (ROOT / "docs" / "operations.md").read_text()
    alerts = re.findall(r"- alert: (\w+)", USERS[0].read_text())
    faults += [f"docs/operations.md does not describe {alert}" for alert in alerts if f"| {alert} |" not in explained]
    for fault in faults:
        print(fault, file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
