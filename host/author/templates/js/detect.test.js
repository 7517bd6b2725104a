import assert from "node:assert/strict";
import { test } from "node:test";

import { detect } from "./detect.js";

// A request whose body is this JSON. The names in it have no `~` or `/`, so a pointer is a plain path.
function sample(body) {
  const at = (pointer) => pointer.split("/").slice(1).reduce((value, name) => value?.[name], body);
  return {
    kindAt: (pointer) => (at(pointer) === undefined ? undefined : typeof at(pointer)),
    stringAt: (pointer) => (typeof at(pointer) === "string" ? at(pointer) : undefined),
  };
}

test("a release announces its tag", () => {
  const outcome = detect(sample({ "{{ident}}": { event: "released", tag: "v1.2.3", repository: "plant/line" } }));
  assert.equal(outcome.tag, "found");
  assert.equal(outcome.val[0].gitRef, "v1.2.3");
  assert.deepEqual(outcome.val[0].repositories, ["plant/line"]);
});

test("other events are ignored", () => {
  assert.deepEqual(detect(sample({ "{{ident}}": { event: "started" } })), { tag: "ignored", val: "event started" });
});

test("a release without a tag is malformed", () => {
  assert.throws(
    () => detect(sample({ "{{ident}}": { event: "released" } })),
    (thrown) => thrown === "/{{ident}}/tag is missing",
  );
});

test("other formats are left alone", () => {
  assert.deepEqual(detect(sample({ event: "released" })), { tag: "not-mine" });
});
