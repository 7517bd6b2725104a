#!/usr/bin/env python3
"""Writes the software bill of materials of an image's program: `sbom.py PROGRAM TRIPLE FILE`. Needs cargo-cyclonedx.

cargo-cyclonedx describes a package with the features of the whole workspace. This script removes the crates that are not
linked into the program, and adds those of the plugins that are built into Stoker.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAME = "image.cdx"
# The directories of the programs.
DIRECTORIES = {"stoker": "host", "stoker-agent": "host/agent"}


def cargo(*arguments):
    command = ["cargo", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def crates(package, *arguments):
    """Name and version of the crates that are linked into a package."""
    flags = ["--locked", "--edges=normal,no-proc-macro", "--prefix=none", "--format={p}", "-p", package, *arguments]
    return set(re.findall(r"^(\S+) v(\S+)", cargo("tree", *flags), re.M))


def described(target):
    """The output of cargo-cyclonedx for each package of the workspace, by its directory."""
    cargo("cyclonedx", "--quiet", "--format=json", "--target", target, "--override-filename", NAME)
    texts = {}
    for file in [*ROOT.glob(f"*/{NAME}.json"), *ROOT.glob(f"*/*/{NAME}.json"), *ROOT.glob(f"*/*/*/{NAME}.json")]:
        texts[file.parent.relative_to(ROOT).as_posix()] = file.read_text().replace(str(ROOT), "/stoker")
        file.unlink()
    return {directory: json.loads(text) for directory, text in texts.items()}


def main():
    program, triple, path = sys.argv[1:]
    wasm = "wasm32-unknown-unknown"
    directory, plugins = DIRECTORIES[program], []
    if program == "stoker":
        # The example is not built in.
        plugins = [payloads.parent for payloads in ROOT.glob("plugins/*/payloads") if payloads.parent.name != "shipit"]
    built = crates(program, "--no-default-features", "--target", triple)
    for plugin in plugins:
        built |= crates(f"stoker-plugin-{plugin.name}", "--target", wasm)

    bill = described(triple)[directory]
    others = described(wasm)
    components = {component["bom-ref"]: component for component in bill["components"]}
    dependencies = {dependency["ref"]: dependency for dependency in bill["dependencies"]}
    for plugin in plugins:
        other = others[plugin.relative_to(ROOT).as_posix()]
        for component in [other["metadata"]["component"], *other["components"]]:
            component.pop("components", None)
            components.setdefault(component["bom-ref"], component)
        for dependency in other["dependencies"]:
            dependencies.setdefault(dependency["ref"], dependency)

    kept = {ref for ref, component in components.items() if (component["name"], component["version"]) in built}
    missing = built - {(components[ref]["name"], components[ref]["version"]) for ref in kept}
    missing -= {(bill["metadata"]["component"]["name"], bill["metadata"]["component"]["version"])}
    if missing:
        sys.exit(f"sbom: nothing describes {sorted(missing)}")
    root = bill["metadata"]["component"]["bom-ref"]
    bill["components"] = [components[ref] for ref in sorted(kept)]
    bill["dependencies"] = [
        {**dependency, "dependsOn": [ref for ref in dependency.get("dependsOn", []) if ref in kept]}
        for ref, dependency in sorted(dependencies.items())
        if ref in kept or ref == root
    ]
    Path(path).write_text(json.dumps(bill, indent=2) + "\n")


if __name__ == "__main__":
    main()
