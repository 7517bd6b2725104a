"""The user guide from top to bottom, then all that an operator does later, and the rights that all of it took."""

import json
import os
import shlex
import time
from pathlib import Path

import rights
from cluster import until
from story import ACCOUNT, CHART, DEPLOYMENT, NAMESPACE, RELEASE, SECRET, Story, gateway_sync

# The guide's payloads, and who should recognise them.
PAYLOADS = {
    "github": lambda ref: {"action": "published", "release": {"tag_name": ref}},
    "argocd": lambda ref: {"app": {"metadata": {"annotations": {"git.ref": ref}}}},
    "kargo": lambda ref: {"freight": {"commits": [{"tag": ref}]}},
    "generic": lambda ref: {"ref": ref},
}
GENERIC = PAYLOADS["generic"]
# The Ingress that the guide has its readers make.
INGRESS = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "Ingress",
    "metadata": {"name": "stoker-webhook", "namespace": NAMESPACE},
    "spec": {
        "rules": [
            {
                "host": "stoker-webhook.example.com",
                "http": {
                    "paths": [
                        {
                            "path": "/webhook",
                            "pathType": "Prefix",
                            "backend": {
                                "service": {
                                    "name": "stoker-stoker-operator-webhook-receiver",
                                    "port": {"number": 9444},
                                }
                            },
                        }
                    ]
                },
            }
        ]
    },
}
CHART_PAGE, REFERENCE = "charts/stoker-operator/README.md", "docs/reference.md"
ANNOTATIONS, OPERATIONS = "docs/annotations.md", "docs/operations.md"
AUTHORING, SETUP, SYMPTOMS = "docs/plugin-authoring.md", "docs/webhook-setup.md", "docs/troubleshooting.md"


class Guide(Story):
    NAME = "guide"

    def tell(self):
        self.install()
        self.follow_the_guide()
        self.mount_a_plugin()
        self.give_a_plugin_inline()
        self.label_a_plugin()
        self.give_the_secret_inline()
        self.give_a_token()
        self.pause()
        self.look_around()
        self.request_by_hand()
        self.upgrade_again()
        self.repair_and_delete()
        self.keep_to_one_namespace()
        self.uninstall()
        self.compare_rights()

    def install(self):
        self.follow(CHART_PAGE, "kubectl create namespace")
        self.prepare_namespace()
        manifest = self.cluster.helm("get", "manifest", RELEASE, "-n", NAMESPACE)
        strict = ["--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts"]
        self.cluster.kubectl("apply", *strict, "-f", "-", stdin=manifest)
        self.say("option 2, an existing secret, installs, and the API server's own schemas take every object")
        self.start_pod()
        holder = lambda: (self.cluster.find("lease", "a86165bb.stoker.io", "-n", NAMESPACE) or {}).get("spec", {})
        until("the pod leads", lambda: holder().get("holderIdentity") == self.pod.name)
        self.say("the container runs as rendered, with the ServiceAccount's token, and leads")

    def follow_the_guide(self):
        self.cluster.kubectl("create", "namespace", "my-namespace")
        self.cluster.apply(*gateway_sync("my-namespace", self.git.url))
        self.until_resolved(self.git.commit("main"))
        self.say("spec.git.ref is resolved and published without a webhook")

        said = until("the object is known", self.curl_of_the_notes)
        assert '"accepted":true' in said and '"ref":"v1.0.0"' in said, said
        self.until_resolved(self.git.commit("v1.0.0"))
        self.say("the curl that helm prints is accepted as it is printed")

        for number, (plugin, payload) in enumerate(PAYLOADS.items()):
            ref = f"v2.0.{number}"
            commit = self.git.tag(ref)
            status, answer = self.send(payload(ref))
            assert status == 202 and answer["plugin"] == plugin and answer["ref"] == ref, answer
            self.until_resolved(commit)
            found = self.cluster.get("gatewaysync", "my-sync", "-n", "my-namespace")["metadata"]["annotations"]
            assert (found["stoker.io/requested-ref"], found["stoker.io/requested-by"]) == (ref, plugin), found
        self.say(f"the payloads are recognised: {', '.join(PAYLOADS)}")

        assert self.send(GENERIC("v1.0.0"), signed=False)[0] == 401
        wrong = {"X-Hub-Signature-256": "sha256=" + "0" * 64}
        assert self.send(GENERIC("v1.0.0"), wrong, signed=False)[0] == 401
        assert self.send(GENERIC("v1.0.0"), name="nobody")[0] == 404
        self.say("what is not signed, or wrongly, is refused with 401, and an object that is not there with 404")

        self.cluster.apply(INGRESS)
        backend = INGRESS["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
        service = self.cluster.get("service", backend["name"], "-n", NAMESPACE)["spec"]
        assert backend["port"]["number"] in [port["port"] for port in service["ports"]], service
        self.say("the guide's Ingress leads to the Service")

        self.patch({"polling": {"enabled": False}})
        commit = self.git.tag("v2.1.0")
        assert self.send(GENERIC("v2.1.0"))[0] == 202
        self.until_resolved(commit)
        self.say("webhooks work with polling disabled")

    def curl_of_the_notes(self):
        notes = self.cluster.helm("get", "notes", RELEASE, "-n", NAMESPACE)
        begin, end = notes.index("  secret=$("), notes.index("To list the plugins")
        lines = notes[begin:end].split("`helm test")[0]
        self.url()
        said = self.cluster.shell(lines.replace("curl -X", "curl -s -X"))
        return said if "no such" not in said else None

    def mount_a_plugin(self):
        """From nothing to a plugin in a mounted ConfigMap."""
        project = self.project = f"{self.scratch}/acme"
        self.cluster.run("stoker", "plugin", "new", "acme", "--lang", "rust", "--dir", project)
        self.cluster.run("stoker", "plugin", "build", project)
        self.payload, self.headers, commit = self.commit_of_sample(project)
        status, answer = self.send(self.payload, self.headers)
        assert status == 400, answer

        self.bring_plugin(CHART_PAGE, "kubectl create configmap acme-plugins")
        self.start_pod()
        status, answer = until("the object is known", self.sample_is_accepted)
        assert answer["plugin"] == "acme", answer
        self.until_resolved(commit)
        self.say("a plugin in a mounted ConfigMap answers")

        broken = f"{self.scratch}/broken"
        Path(broken).write_bytes(b"broken")
        self.replace("acme-plugins", f"acme.wasm={broken}")
        self.pod.sync()
        until("the broken plugin is seen", lambda: self.pod.plugins()["acme.wasm"]["state"] == "serving-previous")
        assert self.sample_is_accepted()
        self.replace("acme-plugins", f"acme.wasm={project}/acme.wasm")
        self.pod.sync()
        until("the plugin is whole again", lambda: self.pod.plugins()["acme.wasm"]["state"] == "serving")
        self.say("a broken update of it changes nothing, and a good one is taken up")

    def give_a_plugin_inline(self):
        self.cluster.shell("{ cat acme.wasm; head -c 340000 /dev/urandom; } | base64 -w0 > large.b64", at=self.project)
        try:
            self.upgrade("--set-file", f"plugins.inline.acme={self.project}/large.b64")
        except AssertionError as refused:
            assert "more than the 340000 that Helm can keep" in str(refused), refused
        else:
            raise AssertionError("a plugin that is too large for Helm is not refused")
        self.cluster.shell("base64 -w0 acme.wasm > acme.b64", at=self.project)
        inline = ["--set-file", f"plugins.inline.acme={self.project}/acme.b64"]
        self.upgrade("--set-json", "plugins.configMaps=[]", *inline)
        until("the plugin answers", self.sample_is_accepted)
        upgrade = ["upgrade", RELEASE, CHART, "-n", NAMESPACE, "--reuse-values"]
        self.cluster.helm(*upgrade, "--set", "plugins.disable={acme}")
        self.pod.sync()
        until("the plugin is off", lambda: self.send(self.payload, self.headers)[0] == 400)
        self.cluster.helm(*upgrade, "--set-json", "plugins.disable=[]", "--set-json", "plugins.inline=null")
        self.say("a plugin in the values answers, and is switched off without a restart")

    def label_a_plugin(self):
        """Without a mount. The commands make the ConfigMap before the pod is there, and then once more under it."""
        self.bring_plugin(CHART_PAGE, "helm upgrade stoker")
        self.start_pod()
        self.until_the_sample_is_taken_and_forgotten("acme-plugin")

        anvil = "kubectl create configmap anvil-plugin -n stoker-system --from-file=anvil.wasm"
        self.bring_plugin(AUTHORING, f"{anvil}\n")
        until("the labelled plugin answers", self.sample_is_accepted)
        self.bring_plugin(AUTHORING, f"{anvil} --dry-run")
        self.until_the_sample_is_taken_and_forgotten("anvil-plugin")
        assert "anvil-plugin/acme.wasm" in self.pod.log(), self.pod.log()

        begun = time.monotonic()
        self.bring_plugin(REFERENCE, "kubectl create configmap")
        until("the labelled plugin answers", self.sample_is_accepted)
        assert self.pod.plugins()["acme-plugin/acme.wasm"]["state"] == "serving"
        self.say(f"a plugin in a labelled ConfigMap answers {time.monotonic() - begun:.1f} s after kubectl began")

    def until_the_sample_is_taken_and_forgotten(self, config_map):
        until("the labelled plugin answers", self.sample_is_accepted)
        self.cluster.kubectl("delete", "configmap", config_map, "-n", NAMESPACE)
        until("the plugin is gone", lambda: self.send(self.payload, self.headers)[0] == 400)

    def bring_plugin(self, page, beginning):
        file = "anvil.wasm" if page == AUTHORING else "acme.wasm"
        changes = {f"--from-file={file}": f"--from-file={shlex.quote(self.project)}/acme.wasm"}
        self.follow(page, beginning, replace=changes)

    def sample_is_accepted(self):
        return self.accepted(self.payload, self.headers)

    def replace(self, name, file):
        made = self.cluster.kubectl(
            "create", "configmap", name, "-n", NAMESPACE, f"--from-file={file}", "--dry-run=client", "-o", "yaml"
        )
        self.cluster.kubectl("replace", "-f", "-", stdin=made)

    def give_the_secret_inline(self):
        self.upgrade("--set", f"webhookReceiver.hmac.secret={SECRET},webhookReceiver.hmac.secretRef.name=")
        deployment = json.dumps(self.cluster.get("deployment", DEPLOYMENT, "-n", NAMESPACE))
        assert SECRET not in deployment, "the secret is in the Deployment"
        commit = self.git.tag("v3.0.0")
        until("the object is known", lambda: self.accepted(GENERIC("v3.0.0")))
        self.until_resolved(commit)
        assert self.send(GENERIC("v3.0.0"), signed=False)[0] == 401
        self.say("option 1, an inline secret, is kept in a Secret")

    def give_a_token(self):
        self.follow(SETUP, "kubectl create secret generic webhook-token")
        self.start_pod()
        until("the object is known", lambda: self.accepted(GENERIC("v3.0.0")))
        encoded = "jsonpath={.data.webhook-token}"
        token = f"TOKEN=$(kubectl get secret -n {NAMESPACE} webhook-token -o {encoded} | base64 -d)\ncurl -s -X"
        address = self.url().partition("/webhook/")[0]
        said = self.follow(SETUP, "curl -X POST https://HOST", replace={"curl -X": token, "https://HOST": address})
        assert '"accepted":true' in said, said
        self.until_resolved(self.git.commit("v1.0.0"))
        self.say("who cannot sign is let in by a token")

    def pause(self):
        def is_told():
            events = self.cluster.get("events.events.k8s.io", "-n", "my-namespace")["items"]
            return any(event["reason"] == "Paused" for event in events)

        self.patch({"paused": True})
        until("the pause is told of", is_told)
        assert self.send(GENERIC("v3.0.0"))[0] == 202
        assert self.is_resolved(self.git.commit("v1.0.0")), "the pause did not hold"
        self.patch({"paused": False})
        self.until_resolved(self.git.commit("v3.0.0"))
        self.say("a request that comes in a pause is handled after it")

    def look_around(self):
        described = self.follow(SYMPTOMS, "kubectl describe gatewaysync")
        assert "RefResolved" in described and "requested-ref: v3.0.0" in described, described
        for page in (SYMPTOMS, OPERATIONS):
            assert "a86165bb.stoker.io" in self.follow(page, "kubectl get lease")
        lists = self.pod.execute("stoker", "plugin", "list", "--host", "http://localhost:8081")
        assert lists == self.follow(REFERENCE, "stoker plugin list --host") and "acme" in lists, lists
        in_the_pod = f"kubectl exec -n {NAMESPACE} deploy/{DEPLOYMENT} -- "
        assert lists == self.follow(SYMPTOMS, "kubectl exec", replace={in_the_pod: ""})
        self.say("lease, conditions, events and plugins are there to be looked at")

    def request_by_hand(self):
        annotate = "kubectl annotate gatewaysync -n my-namespace my-sync "
        removals = {ANNOTATIONS: f"{annotate}stoker.io/requested-ref-", SYMPTOMS: "kubectl annotate gatewaysync"}
        for page, remove in removals.items():
            self.follow(page, remove)
            self.until_resolved(self.git.commit("main"))
            if page == ANNOTATIONS:
                self.follow(page, f"{annotate}--overwrite")
                self.until_resolved(self.git.commit("v1.0.0"))
        assert self.accepted(GENERIC("v1.0.0"))
        self.until_resolved(self.git.commit("v1.0.0"))
        self.say("a person requests a ref by an annotation, and goes back to the spec without it")

    def upgrade_again(self):
        before = self.cluster.helm("get", "values", RELEASE, "-n", NAMESPACE)
        self.follow(OPERATIONS, "helm upgrade")
        assert self.cluster.helm("get", "values", RELEASE, "-n", NAMESPACE) == before
        self.start_pod()
        until("the object is known", lambda: self.accepted(GENERIC("v1.0.0")))
        self.say("an upgrade keeps the values, and all goes on")

    def patch(self, spec):
        patch = json.dumps({"spec": spec})
        self.cluster.kubectl("patch", "gatewaysync", "my-sync", "-n", "my-namespace", "--type=merge", "-p", patch)

    def repair_and_delete(self):
        self.cluster.kubectl("delete", "configmap", "stoker-metadata-my-sync", "-n", "my-namespace")
        self.until_resolved(self.git.commit("v1.0.0"))
        self.cluster.kubectl("delete", "gatewaysync", "my-sync", "-n", "my-namespace", "--timeout=30s")
        # The garbage collector does not run here, so what is gone was removed by Stoker.
        gone = lambda: not self.cluster.find("configmap", "stoker-metadata-my-sync", "-n", "my-namespace")
        until("the published ConfigMap goes with its object", gone)
        self.say("what is published is repaired, and removed with its object")

    def keep_to_one_namespace(self):
        self.cluster.apply(*gateway_sync("my-namespace", self.git.url), *gateway_sync(NAMESPACE, self.git.url))
        # A reconcile that is under way would be refused once the rights are gone.
        self.stop_pod()
        self.upgrade("--set", "rbac.scope=namespace")
        roles = self.cluster.get("clusterrolebindings", "-l", f"app.kubernetes.io/instance={RELEASE}")["items"]
        assert not roles, "a right beyond the namespace is left"
        commit = self.git.tag("v4.0.0")
        until("the object is known", lambda: self.send(GENERIC("v4.0.0"), namespace=NAMESPACE)[0] == 202)
        self.until_resolved(commit, NAMESPACE)
        assert self.send(GENERIC("v4.0.0"))[0] == 404
        self.cluster.kubectl("delete", "gatewaysync", "my-sync", "-n", NAMESPACE, "--timeout=30s")
        self.say("rbac.scope=namespace works with rights in its namespace alone")

    def uninstall(self):
        self.stop_pod()
        self.follow(OPERATIONS, "helm uninstall")
        left = self.cluster.of_release(RELEASE)
        assert left == ["customresourcedefinition.apiextensions.k8s.io/gatewaysyncs.stoker.io"], left
        assert self.cluster.find("gatewaysync", "my-sync", "-n", "my-namespace"), "an object went with the chart"
        assert self.cluster.find("secret", "webhook-hmac", "-n", NAMESPACE), "a user's secret went with the chart"
        self.say("uninstalling leaves the definition and what users made, and nothing else")

        self.follow(OPERATIONS, "kubectl patch gatewaysync")
        self.cluster.kubectl("delete", "gatewaysync", "my-sync", "-n", "my-namespace", "--timeout=30s")
        self.say("an object that is left can be freed of its finalizer")

    def compare_rights(self):
        audit_log = os.path.join(os.path.dirname(self.cluster.kubeconfig), "audit.log")
        did, refused = rights.used(audit_log, f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}")
        rights.check(self.rights, did, refused)
        self.say(f"{len(self.rights)} rights were granted; all were used, and none was missing")
