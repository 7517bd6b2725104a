// Builds the component: a JavaScript engine, with its state after it has loaded component.js.

import { mkdir, writeFile } from "node:fs/promises";

import { componentize } from "@bytecodealliance/componentize-js";

const { component } = await componentize({
  sourcePath: "component.js",
  witPath: "wit",
  worldName: "payload-detector",
  // A plugin has no output, clock, random numbers or network.
  disableFeatures: ["stdio", "random", "clocks", "http", "fetch-event"],
});
await mkdir("build", { recursive: true });
await writeFile("build/plugin.wasm", component);
