// Detects the ref that a webhook of {{name}} announces. This file does not depend on WebAssembly, so `npm test` runs it
// natively.

export const NAME = "{{name}}";
export const VERSION = "0.1.0";
export const SUMMARY = "Releases of {{name}}";

// A delivery without a value at this JSON pointer is not offered to the plugin.
export const POINTER = "/{{ident}}";

// Detects the ref of a request. Returns one of
//
//   { tag: "not-mine" }              the request is of another format; the next plugin is called
//   { tag: "ignored", val: REASON }  the request is of this format and calls for no action
//   { tag: "found", val: [...] }     the request announces these refs
//
// or throws a text for the sender, if the request is of this format and malformed.
export function detect(request) {
  if (request.kindAt(POINTER) === undefined) {
    return { tag: "not-mine" };
  }
  const event = required(request, "/{{ident}}/event");
  if (event !== "released") {
    return { tag: "ignored", val: `event ${event}` };
  }
  const repository = request.stringAt("/{{ident}}/repository");
  const release = {
    gitRef: required(request, "/{{ident}}/tag"),
    commit: request.stringAt("/{{ident}}/commit"),
    repositories: repository === undefined ? [] : [repository],
    occurredAt: undefined,
    deliveryId: undefined,
    // What happened, if an object selects by it: [["event", event]].
    attributes: [],
  };
  return { tag: "found", val: [release] };
}

function required(request, pointer) {
  const value = request.stringAt(pointer);
  if (value === undefined) {
    // The interface has a string here. Throwing anything else, such as an Error, is a failure of the plugin.
    throw `${pointer} is missing`;
  }
  return value;
}
