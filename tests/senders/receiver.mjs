// A sandbox and a receiver of the binary that the variable STOKER names.
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const OBJECT = {
  apiVersion: "stoker.io/v1alpha1",
  kind: "GatewaySync",
  metadata: { name: "plant", namespace: "default" },
  spec: {
    git: { repo: "https://git.example.invalid/demo/plant.git", ref: "main" },
    gateway: { api: { secretName: "gateway-api" } },
    sync: { profiles: { default: { mappings: [{ source: "a", destination: "b" }] } } },
  },
};

async function freePort() {
  const server = createServer();
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address();
  await new Promise((closed) => server.close(closed));
  return port;
}

async function until(what, attempt) {
  const deadline = Date.now() + 60_000;
  let last;
  while (Date.now() < deadline) {
    try {
      const result = await attempt();
      if (result) return result;
    } catch (error) {
      last = error;
    }
    await pause(20);
  }
  throw new Error(`${what} did not happen within a minute`, { cause: last });
}

/** Starts a receiver whose secret file has these lines. */
export async function start(secrets) {
  const directory = await mkdtemp(join(tmpdir(), "senders-"));
  const processes = [];
  const run = (...args) => {
    const child = spawn(process.env.STOKER, args, { stdio: ["ignore", "ignore", "inherit"] });
    processes.push(child);
    return child;
  };
  const stop = async () => {
    for (const child of processes.reverse()) {
      if (child.exitCode !== null) continue;
      const ended = new Promise((exit) => child.once("exit", exit));
      child.kill("SIGTERM");
      await ended;
    }
    await rm(directory, { recursive: true });
  };
  try {
    const kubeconfig = join(directory, "kubeconfig");
    const secret = join(directory, "secret");
    await writeFile(secret, secrets.join("\n"));
    run("sandbox", "--kubeconfig", kubeconfig, "--log", "warn");
    const api = await until("the kubeconfig", async () => (await readFile(kubeconfig, "utf8")).match(/server: (\S+)/)?.[1]);
    const objects = `${api}/apis/stoker.io/v1alpha1/namespaces/default/gatewaysyncs`;
    await until("the object", async () => {
      const headers = { "content-type": "application/json" };
      const created = await fetch(objects, { method: "POST", headers, body: JSON.stringify(OBJECT) });
      return created.status === 201;
    });
    const [port, probes] = [await freePort(), await freePort()];
    run(
      "run", "--log", "warn", "--kubeconfig", kubeconfig, "--webhook-hmac-secret-file", secret,
      "--webhook-receiver-port", String(port), "--health-probe-bind-address", `127.0.0.1:${probes}`,
    );
    await until("readiness", async () => (await fetch(`http://127.0.0.1:${probes}/readyz`)).status === 200);
    const url = `http://127.0.0.1:${port}/webhook/default/plant`;
    const post = async (body, headers) => {
      const answer = await fetch(url, { method: "POST", body, headers: { "content-type": "application/json", ...headers } });
      return { status: answer.status, ...(await answer.json()) };
    };
    const requested = async () =>
      (await (await fetch(`${objects}/plant`)).json()).metadata.annotations?.["stoker.io/requested-ref"];
    return { post, requested, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
