// What the senders' own libraries sign is accepted, and what these libraries refuse is refused.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { sign, verify, verifyWithFallback } from "@octokit/webhooks-methods";
import * as standard from "standardwebhooks";
import * as svix from "svix";

import { start } from "./receiver.mjs";

// One secret serves every scheme. The second is the one before a rotation.
const SECRET = `whsec_${Buffer.from("a key of thirty-two bytes, no less").toString("base64")}`;
const PREVIOUS = `whsec_${Buffer.from("the key before the last rotation").toString("base64")}`;
const STRANGE = `whsec_${Buffer.from("a key that the receiver never had").toString("base64")}`;

let receiver;
before(async () => {
  receiver = await start([SECRET, PREVIOUS]);
});
after(async () => receiver?.stop());

let number = 0;
/** Returns a ref that no other delivery announces. */
const nextRef = () => `v1.0.${++number}`;

describe("@octokit/webhooks-methods", () => {
  const release = (tag) =>
    JSON.stringify({ action: "published", release: { tag_name: tag, body: "Änderungen: 修正 🎉" } });
  const send = (body, signature) =>
    receiver.post(body, { "x-github-event": "release", "x-hub-signature-256": signature });

  it("a signed release is accepted", async () => {
    const ref = nextRef();
    const body = release(ref);
    const answer = await send(body, await sign(SECRET, body));
    assert.equal(answer.status, 202, JSON.stringify(answer));
    assert.equal(await receiver.requested(), ref);
  });

  it("both secrets of a rotation are accepted, as by verifyWithFallback", async () => {
    for (const secret of [SECRET, PREVIOUS, STRANGE]) {
      const body = release(nextRef());
      const signature = await sign(secret, body);
      const expected = (await verifyWithFallback(SECRET, body, signature, [PREVIOUS])) ? 202 : 401;
      assert.equal((await send(body, signature)).status, expected);
    }
  });

  it("what verify refuses is refused", async () => {
    const body = release(nextRef());
    const signature = await sign(SECRET, body);
    const altered = [
      [body, signature.replace(/.$/, (digit) => (digit === "0" ? "1" : "0"))],
      [`${body} `, signature],
      [body, signature.replace("sha256=", "sha1=")],
      [body, signature.slice(0, -2)],
      [body, "sha256="],
    ];
    for (const [sent, claimed] of altered) {
      assert.equal(await verify(SECRET, sent, claimed), false);
      assert.equal((await send(sent, claimed)).status, 401, claimed);
    }
  });
});

for (const [name, library, prefix] of [["standardwebhooks", standard, "webhook"], ["svix", svix, "svix"]]) {
  describe(name, () => {
    const signer = (secret) => new library.Webhook(secret);
    const headers = (id, time, signature) => ({
      [`${prefix}-id`]: id,
      [`${prefix}-timestamp`]: String(Math.floor(time / 1000)),
      [`${prefix}-signature`]: signature,
    });
    const isVerified = (secrets, body, sent) =>
      secrets.some((secret) => {
        try {
          signer(secret).verify(body, sent);
          return true;
        } catch {
          return false;
        }
      });
    const minutes = (count) => Date.now() + count * 60_000;

    // Each row: what is sent, and whether the receiver has a secret that made it.
    const deliveries = {
      "a signed message": (body, id) => headers(id, minutes(0), signer(SECRET).sign(id, new Date(minutes(0)), body)),
      "a message with the previous secret": (body, id) =>
        headers(id, minutes(0), signer(PREVIOUS).sign(id, new Date(minutes(0)), body)),
      "several signatures, one of which is right": (body, id) => {
        const at = new Date(minutes(0));
        return headers(id, minutes(0), `${signer(STRANGE).sign(id, at, body)} ${signer(SECRET).sign(id, at, body)}`);
      },
      "a signature of another version beside the right one": (body, id) =>
        headers(id, minutes(0), `v1a,AAAA ${signer(SECRET).sign(id, new Date(minutes(0)), body)}`),
      "four minutes late": (body, id) => headers(id, minutes(-4), signer(SECRET).sign(id, new Date(minutes(-4)), body)),
      "six minutes late": (body, id) => headers(id, minutes(-6), signer(SECRET).sign(id, new Date(minutes(-6)), body)),
      "six minutes early": (body, id) => headers(id, minutes(6), signer(SECRET).sign(id, new Date(minutes(6)), body)),
      "a strange secret": (body, id) => headers(id, minutes(0), signer(STRANGE).sign(id, new Date(minutes(0)), body)),
      "the signature of another message": (body, id) =>
        headers(id, minutes(0), signer(SECRET).sign(`${id}-other`, new Date(minutes(0)), body)),
      "the signature of another body": (body, id) =>
        headers(id, minutes(0), signer(SECRET).sign(id, new Date(minutes(0)), `${body} `)),
      "another time than the signed one": (body, id) =>
        headers(id, minutes(1), signer(SECRET).sign(id, new Date(minutes(0)), body)),
      "a signature without a version": (body, id) =>
        headers(id, minutes(0), signer(SECRET).sign(id, new Date(minutes(0)), body).replace("v1,", "")),
      "an empty signature": (_, id) => headers(id, minutes(0), ""),
    };
    for (const [what, make] of Object.entries(deliveries)) {
      it(what, async () => {
        const body = JSON.stringify({ ref: nextRef(), note: "Änderung 修正" });
        const sent = make(body, `msg_${name}_${number}`);
        const expected = isVerified([SECRET, PREVIOUS], body, sent) ? 202 : 401;
        const answer = await receiver.post(body, sent);
        assert.equal(answer.status, expected, JSON.stringify(answer));
      });
    }

    it("a retry of a message is a duplicate, although its time and signature differ", async () => {
      const body = JSON.stringify({ ref: nextRef() });
      const id = `msg_${name}_retry`;
      for (const [minute, isDuplicate] of [[-2, undefined], [0, true]]) {
        const at = minutes(minute);
        const answer = await receiver.post(body, headers(id, at, signer(SECRET).sign(id, new Date(at), body)));
        assert.equal(answer.status, 202, JSON.stringify(answer));
        assert.equal(answer.duplicate, isDuplicate);
      }
    });
  });
}
