// What a webhook of {{name}} announces. Nothing here knows of WebAssembly, so `npm test` runs it as it is.

export const NAME = "{{name}}";
export const VERSION = "0.1.0";
export const SUMMARY = "Releases of {{name}}";

// The plugin is asked where there is a value at this JSON pointer.
export const POINTER = "/{{ident}}";

// Looks at one request and says what it is:
//
//   { tag: "not-mine" }              another format: the next plugin is asked
//   { tag: "ignored", val: REASON }  this format, and nothing to do
//   { tag: "found", val: [...] }     the refs that it announces
//
// Throws a text, in words for the sender, where the request is of this format and malformed.
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
    attributes: [],
  };
  return { tag: "found", val: [release] };
}

function required(request, pointer) {
  const value = request.stringAt(pointer);
  if (value === undefined) {
    // A text and no Error: the interface has a string here, and anything else thrown is a fault of the plugin.
    throw `${pointer} is missing`;
  }
  return value;
}
