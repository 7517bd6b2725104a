// Makes the component: the JavaScript engine, and what it knew after it had read component.js.

import { mkdir, writeFile } from "node:fs/promises";

import { componentize } from "@bytecodealliance/componentize-js";

const { component } = await componentize({
  sourcePath: "component.js",
  witPath: "wit",
  worldName: "payload-detector",
  // A plugin gets nothing of the system: no output, no clock, no random numbers, no network.
  disableFeatures: ["stdio", "random", "clocks", "http", "fetch-event"],
});
await mkdir("build", { recursive: true });
await writeFile("build/plugin.wasm", component);
