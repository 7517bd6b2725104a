#!/usr/bin/env python3
"""Keeps what repeats the chart's values in step with values.yaml: the schema, the table in the documents, and the copy
of the defaults that the templates read.

    values.py            fails if a value has no comment, the schema does not know it, or a repetition is out of date
    values.py --update   writes the table and the copy
    values.py --paths    prints the path of each value and of each group of values
    values.py --scalars  prints path and default of each number and boolean

It reads values.yaml line by line and needs no YAML library: the comment of a value is directly above it.
"""

import json
import re
import sys
from pathlib import Path

CHART = Path(__file__).resolve().parents[2] / "charts" / "stoker-operator"
BOOK = CHART.parents[1] / "docs"
DEFAULTS = CHART / "files" / "defaults.yaml"
BEGIN, END = "<!-- values: begin -->\n", "<!-- values: end -->\n"
KEY = re.compile(r"^( *)([A-Za-z][A-Za-z0-9]*):(?: (.*))?$")
# Objects that Kubernetes defines: their fields are not values of the chart.
OPAQUE = {"resources", "podSecurityContext", "securityContext"}
# Helm passes these to the chart as a dependency of another one.
OF_HELM = {"global", "enabled"}


def entries(text):
    """Yields path, default and comment of each value; the default is None if it has several lines."""
    lines = text.splitlines()
    path, comment, opaque = [], [], None
    for number, line in enumerate(lines):
        stripped = line.strip()
        if stripped.startswith("#"):
            comment.append(stripped.removeprefix("#").strip())
            continue
        match = KEY.match(line)
        indent = len(line) - len(line.lstrip())
        if not match or (opaque is not None and indent > opaque):
            comment = [] if not match else comment
            continue
        opaque = None
        depth = indent // 2
        path = path[:depth] + [match[2]]
        following = lines[number + 1].strip() if number + 1 < len(lines) else ""
        is_list = match[3] is None and following.startswith("- ")
        if match[3] is not None or is_list or match[2] in OPAQUE:
            yield ".".join(path), match[3], " ".join(comment)
            opaque = indent if match[3] is None else None
        comment = []


def table(found):
    """The values as Markdown."""
    out = ["| Value | Default | Meaning |", "| --- | --- | --- |"]
    for path, default, comment in found:
        shown = "see values.yaml" if default is None else f"`{default}`"
        out.append(f"| `{path}` | {shown} | {comment.replace('|', chr(92) + '|')} |")
    return "\n".join(out) + "\n"


def copy(text):
    """values.yaml without its comments."""
    lines = [line for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
    return "\n".join(["# Written by tests/chart/values.py.", *lines]) + "\n"


def known(schema, path):
    """Whether the schema has this value, and refuses misspelt values beside it."""
    node = schema
    for word in path.split("."):
        if node.get("additionalProperties") is not False or word not in node.get("properties", {}):
            return False
        node = node["properties"][word]
    return True


def paths(schema, prefix=""):
    """The values that the schema knows."""
    for word, node in schema["properties"].items():
        path = f"{prefix}{word}"
        if "properties" in node and node.get("additionalProperties") is False and word not in OPAQUE:
            yield from paths(node, f"{path}.")
        else:
            yield path


def with_groups(found):
    """The paths of the values and of the groups that contain them."""
    every = {}
    for path, _, _ in found:
        words = path.split(".")
        for count in range(1, len(words) + 1):
            every[".".join(words[:count])] = None
    return list(every)


def main():
    text = (CHART / "values.yaml").read_text()
    found = list(entries(text))
    if sys.argv[1:] == ["--paths"]:
        print("\n".join(with_groups(found)))
        return
    if sys.argv[1:] == ["--scalars"]:
        scalars = [(path, default) for path, default, _ in found if re.match(r"(true|false|\d+)$", default or "")]
        print("\n".join(" ".join(scalar) for scalar in scalars))
        return
    schema = json.loads((CHART / "values.schema.json").read_text())
    faults = [f"values.yaml: {path} has no comment" for path, _, comment in found if not comment]
    faults += [f"values.schema.json does not know {path}" for path, _, _ in found if not known(schema, path)]
    names = {path for path, _, _ in found} | OF_HELM
    # The parts of `plugins.settings` have no defaults.
    is_part = re.compile(r"^plugins\.settings\.").match
    faults += [
        f"values.yaml lacks {path}, which values.schema.json knows"
        for path in paths(schema)
        if path not in names and not is_part(path)
    ]

    wanted = {DEFAULTS: copy(text)}
    page = BOOK / "helm-values.md"
    before, rest = page.read_text().split(BEGIN)
    _, after = rest.split(END)
    wanted[page] = f"{before}{BEGIN}\n{table(found)}\n{END}{after}"
    for file, content in wanted.items():
        if sys.argv[1:] == ["--update"]:
            file.write_text(content)
        elif not file.exists() or file.read_text() != content:
            faults.append(f"{file.name} is out of date: run tests/chart/values.py --update")
    for fault in faults:
        print(fault, file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
