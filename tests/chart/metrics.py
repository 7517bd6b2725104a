#!/usr/bin/env python3
"""Fails if an alert or the dashboard uses a metric, a label or a value of a label that docs/reference.md does not
describe, or if docs/operations.md does not describe an alert. tests/docs/facts.py compares the reference with the code."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "stoker-operator"
USERS = [CHART / "templates" / "prometheusrule.yaml", CHART / "files" / "dashboards" / "stoker.json"]
NAME = re.compile(r"\bstoker_[a-z_]+[a-z]\b")


SELECTOR = re.compile(r"\b(stoker_[a-z_]+[a-z])\{([^{}]*)\}")
MATCHER = re.compile(r"([a-z_]+)\s*(=~|!~|!=|=)\s*\\?\"([^\"\\]*)")
GROUPING = re.compile(r"\b(?:by|without|on|ignoring) ?\(([a-z_, ]*)\)")
# What Prometheus adds to every series.
ADDED = {"namespace", "job", "instance", "pod", "le"}
# Labels whose values the table of metrics does not list: statuses of HTTP, and conditions.
FREE = {"status_code", "type"}


def described(text):
    """The metrics in the table, with their labels and what it says of them. `_x` after a name stands for
    `stoker_controller_x`."""
    metrics = {}
    for line in text.splitlines():
        if not line.startswith("| `stoker_"):
            continue
        cells = line.split("|")
        first, *others = re.findall(r"`([a-z_]+)`", cells[1])
        names = [first] + [other if other.startswith("stoker_") else "stoker_controller" + other for other in others]
        for name in names:
            metrics[name] = (set(re.findall(r"`([a-z_]+)`", cells[2])), "|".join(cells[2:]))
    return metrics


def selections(text, have):
    """Yields what selectors use that no metric has."""
    for name, matchers in SELECTOR.findall(text):
        labels, meaning = have.get(re.sub(r"_bucket$", "", name), (set(), ""))
        for label, operator, value in MATCHER.findall(matchers):
            if label in ADDED:
                continue
            if label not in labels:
                yield f"the label {label} of {name}"
            elif label not in FREE and "$" not in value:
                words = value.split("|") if "~" in operator else [value]
                yield from (f"{label}={word!r} of {name}" for word in words if word and f"`{word}`" not in meaning)


def main():
    have = described((ROOT / "docs" / "reference.md").read_text())
    labels = ADDED.union(*(labels for labels, _ in have.values()))
    faults = []
    for user in USERS:
        text = user.read_text()
        used = {name for name in NAME.findall(text) if re.sub(r"_bucket$", "", name) not in have}
        used |= set(selections(text, have))
        grouped = {label.strip() for group in GROUPING.findall(text) for label in group.split(",")} - {""}
        used |= {f"the label {label}" for label in grouped - labels}
        for one in sorted(used):
            faults.append(f"{user.relative_to(ROOT)} uses {one}, which docs/reference.md does not describe")
    explained = (ROOT / "docs" / "operations.md").read_text()
    alerts = re.findall(r"- alert: (\w+)", USERS[0].read_text())
    faults += [f"docs/operations.md does not describe {alert}" for alert in alerts if f"| {alert} |" not in explained]
    for fault in faults:
        print(fault, file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
