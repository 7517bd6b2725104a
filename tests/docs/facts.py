#!/usr/bin/env python3
"""Checks tables of the documents against the code and the chart that they describe.

Each check finds the names in the code with a pattern, and fails if a document does not have one of them. A pattern that
finds nothing fails too.
"""

import re

from pages import ROOT, end

CHART = "charts/stoker-operator"
REFERENCE = "docs/reference.md"


def read(path):
    return (ROOT / path).read_text()


def section(page, heading):
    """The text below a heading of a page, up to the next heading of the same level or a higher one."""
    level, text = heading.split(" ")[0], read(page)
    begin = text.index(f"\n{heading}\n") + len(heading) + 2
    return re.split(rf"^#{{1,{len(level)}}} ", text[begin:], maxsplit=1, flags=re.M)[0]


def first_cells(text):
    """The names in backquotes in the first cells of the tables of a text, in their order."""
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("|")]
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]


def missing(where, have, names):
    """The faults of names that a document does not have."""
    names = list(names)
    if not names:
        yield f"{where}: the check finds nothing in the code"
    yield from (f"{where}: {name} is missing" for name in names if name not in have)


def camel_case(name):
    first, *others = name.removeprefix("r#").rstrip("_").split("_")
    return first + "".join(word.capitalize() for word in others)


def fields(path, struct):
    """The fields of a struct, with their names in YAML."""
    body = re.search(rf"^pub struct {struct} \{{\n(.*?)^\}}", read(path), re.M | re.S).group(1)
    return [camel_case(name) for name in re.findall(r"^    pub ([a-z_#]+):", body, re.M)]


def built_in_plugins():
    """The order of the plugins decides which of them answers."""
    order = re.search(r"const BUILT_IN: .*? = \[(.*?)\];", read("host/builtin/build.rs"), re.S).group(1)
    order = re.findall(r'"([a-z-]+)"', order)
    head = read("docs/plugins.md").split("\n## ")[0]
    shown = [name for name in first_cells(head) if name in order]
    if shown != order:
        yield f"docs/plugins.md: the order of the plugins is {', '.join(order)}"


def metrics():
    name = re.compile(r'"([a-z_]+)",\s+(?:help\b|"[A-Z0-9])')
    found = set()
    for path in (ROOT / "host").rglob("*.rs"):
        text = path.read_text().split("#[cfg(test)]")[0]
        prefix = re.search(r'sub_registry_with_prefix\("(stoker[a-z_]*)"\)', text)
        if prefix:
            found |= {f"{prefix.group(1)}_{one}" for one in name.findall(text)}
        found |= {one for one in name.findall(text) if one.startswith("stoker_")}
    # The series of objects are written by a collector, which has no registry.
    of_objects = read("host/src/controller/metrics/objects.rs")
    found |= {f"stoker_controller_{one}" for one in name.findall(of_objects) + ["reconcile"]}
    shown = first_cells(section(REFERENCE, "## Metrics"))
    shown += [f"stoker_agent_{one}" for one in first_cells(section("docs/agent.md", "## Probes and metrics"))]
    shown = {one.removesuffix("_total") for one in shown}
    yield from missing("the tables of metrics", shown, sorted(found))
    yield from (f"the tables of metrics: {one} does not exist" for one in sorted(shown - found))


def events():
    shown = first_cells(section(REFERENCE, "## Events"))
    names = read("host/api/src/names.rs").split("mod reason")[1]
    words = dict(re.findall(r'pub const ([A-Z_]+): &str = "(\w+)";', names))
    used = [
        words[name]
        for path in ("host/src/controller/events.rs", "host/src/request/events.rs")
        for name in re.findall(r"reason::([A-Z_]+)", read(path).split("#[cfg(test)]")[0])
    ]
    yield from missing(REFERENCE, shown, dict.fromkeys(used))
    agent = re.findall(r'^const [A-Z_]+: &str = "([A-Z]\w+)";', read("host/agent/src/agent/reporting.rs"), re.M)
    yield from missing(REFERENCE, shown, agent)


def conditions():
    """Every condition, and every reason, which a condition or an event has."""
    names = read("host/api/src/names.rs")
    words = {
        module: re.findall(r'pub const [A-Z_]+: &str = "(\w+)";', names.split(f"pub mod {module} ")[1].split("\n}")[0])
        for module in ("condition", "reason")
    }
    table = section(REFERENCE, "## Conditions")
    shown = first_cells(table)
    yield from missing("the table of conditions", shown, words["condition"])
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| `")]
    reasons = [row[3].strip().strip("`") for row in rows]
    of_events = first_cells(section(REFERENCE, "## Events"))
    yield from missing("the tables of conditions and events", reasons + of_events, words["reason"])
    known = {*words["condition"], *words["reason"]}
    yield from (f"the table of conditions: {one} does not exist" for one in shown + reasons if one not in known)
    # Reasons that the code gives to conditions are in their table, even if events have them too.
    for path in ("status.rs", "gateways/conditions.rs", "resolve.rs", "credentials.rs"):
        used = re.findall(r"reason::([A-Z_]+)", read(f"host/src/controller/{path}").split("#[cfg(test)]")[0])
        values = dict(re.findall(r'pub const ([A-Z_]+): &str = "(\w+)";', names.split("pub mod reason ")[1]))
        yield from missing("the table of conditions", reasons, sorted({values[name] for name in used}))


def flags():
    """Every flag of both programs."""
    sources = ["host/src/cli.rs", "host/agent/src/cli.rs", *sorted((ROOT / "host/src/cli").glob("*.rs"))]
    argument = re.compile(r"#\[arg\(((?:[^\[\]]|\[[^\]]*\])*)\)\]\s+(?:///[^\n]*\s+)*pub ([a-z_#]+):")
    found = []
    for source in sources:
        for settings, field in argument.findall((ROOT / source).read_text().split("#[cfg(test)]")[0]):
            if re.search(r"\blong\b", settings) and "hide = true" not in settings:
                name = re.search(r'\blong = "([a-z-]+)"', settings)
                found.append("--" + (name.group(1) if name else field.removeprefix("r#").replace("_", "-")))
    shown = set(re.findall(r"--[a-z-]+", read(REFERENCE)))
    yield from missing(REFERENCE, shown, dict.fromkeys(found))


def spec():
    """The fields of an object that the agents use."""
    profiles = first_cells(read("docs/profiles.md"))
    for struct in ("SyncProfile", "SyncDefaults", "Mapping"):
        yield from missing("docs/profiles.md", profiles, fields("host/api/src/sync.rs", struct))
    of_gateway = fields("host/api/src/gateway_sync.rs", "Gateway")
    of_gateway += [f"api.{name}" for name in fields("host/api/src/gateway_sync.rs", "GatewayApi")]
    of_gateway.remove("api")
    yield from missing("docs/gateways.md", first_cells(read("docs/gateways.md")), of_gateway)


def permissions():
    rows = re.findall(r"^\| (.*?) \| (.*?) \|", section(REFERENCE, "## Permissions"), re.M)
    rows = {resource.strip("`"): verbs for resource, verbs in rows}
    for path in ("templates/manager-role.yaml", "templates/_helpers.tpl"):
        rules = re.findall(r"resources: \[([a-z/]+)\]\n(?: *#.*\n)*\s+verbs: \[(.*)\]", read(f"{CHART}/{path}"))
        yield from missing(REFERENCE, rows, (resource for resource, _ in rules))
        for resource, verbs in rules:
            if rows.get(resource, verbs) != verbs:
                yield f"{REFERENCE}: the verbs of {resource} are {verbs}"


def chart_objects():
    shown = section(f"{CHART}/README.md", "## Objects")
    files = [path for path in (ROOT / CHART / "templates").glob("*.yaml")]
    kinds = {kind for path in files for kind in re.findall(r"^kind: (\w+)$", path.read_text(), re.M)}
    yield from missing(f"{CHART}/README.md", set(re.findall(r"\w+", shown)), sorted(kinds))


def main():
    checks = (built_in_plugins, metrics, events, conditions, flags, spec, permissions, chart_objects)
    end([fault for check in checks for fault in check()])


if __name__ == "__main__":
    main()
