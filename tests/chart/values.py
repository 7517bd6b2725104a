#!/usr/bin/env python3
"""Keeps the chart's README, schema and values in step, and the page of the book about them.

    values.py            fails where the README is stale, a value has no comment, or the schema does not know it
    values.py --update   writes the table of values into the README, and into the book

It reads values.yaml by its lines and needs no YAML library: the comment of a value is what stands right above it.
"""

import json
import re
import sys
from pathlib import Path

CHART = Path(__file__).resolve().parents[2] / "charts" / "stoker-operator"
BOOK = CHART.parents[1] / "docs"
BEGIN, END = "<!-- values: begin -->\n", "<!-- values: end -->\n"
KEY = re.compile(r"^( *)([A-Za-z][A-Za-z0-9]*):(?: (.*))?$")
# Objects that Kubernetes defines: their parts are no values of the chart.
OPAQUE = {"resources", "podSecurityContext", "securityContext"}


def entries(text):
    """Yields path, default and comment of each value; the default is None where it has several lines."""
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


def known(schema, path):
    """Whether the schema has this value, and lets nobody misspell it on the way there."""
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


def main():
    found = list(entries((CHART / "values.yaml").read_text()))
    schema = json.loads((CHART / "values.schema.json").read_text())
    faults = [f"values.yaml: {path} has no comment" for path, _, comment in found if not comment]
    faults += [f"values.schema.json does not know {path}" for path, _, _ in found if not known(schema, path)]
    # Helm itself hands `global` to a chart below another, and the parts of `plugins.settings` have no defaults.
    names = {path for path, _, _ in found} | {"global"}
    is_part = re.compile(r"^plugins\.settings\.").match
    faults += [f"values.yaml lacks {path}, which values.schema.json knows" for path in paths(schema)
               if path not in names and not is_part(path)]

    for page in (CHART / "README.md", BOOK / "helm-values.md"):
        text = page.read_text()
        before, rest = text.split(BEGIN)
        _, after = rest.split(END)
        wanted = f"{before}{BEGIN}\n{table(found)}\n{END}{after}"
        if sys.argv[1:] == ["--update"]:
            page.write_text(wanted)
        elif text != wanted:
            faults.append(f"{page.name} is stale: run tests/chart/values.py --update")
    for fault in faults:
        print(fault, file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
