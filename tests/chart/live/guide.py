"""The user guide, then what operators do later, and the rights that all of it needs."""

import json
import os
import shlex
import socket
import time
from pathlib import Path

import rights
from cluster import until
from story import ACCOUNT, CHART, DEPLOYMENT, NAMESPACE, RELEASE, SECRET, Story, gateway_sync

# The guide's payloads, by the plugin that recognises them.
PAYLOADS = {
    "github": lambda ref: {"action": "published", "release": {"tag_name": ref}},
    "argocd": lambda ref: {"app": {"metadata": {"annotations": {"git.ref": ref}}}},
    "kargo": lambda ref: {"freight": {"commits": [{"tag": ref}]}},
    "generic": lambda ref: {"ref": ref},
}
GENERIC = PAYLOADS["generic"]
# The Ingress of the guide.
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
AUTHORING, SYMPTOMS = "docs/plugin-authoring.md", "docs/troubleshooting.md"


def has_address(address):
    """Whether this machine has a loopback address."""
    try:
        with socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET):
            return True
    except OSError:
        return False


class Guide(Story):
    NAME = "guide"

    def play(self):
        self.install()
        self.refuse_a_second_release()
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
        self.run_as_any_user()
        self.test_the_release()
        self.keep_to_one_namespace()
        self.uninstall()
        self.install_under_another_name()
        self.compare_rights()

    def install(self):
        self.follow(CHART_PAGE, "kubectl create namespace")
        self.prepare_namespace()
        manifest = self.cluster.helm("get", "manifest", RELEASE, "-n", NAMESPACE)
        strict = ["--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts"]
        self.cluster.kubectl("apply", *strict, "-f", "-", stdin=manifest)
        self.report("option 2, an existing secret, installs, and the API server's schemas accept every object")
        self.start_pod()
        holder = lambda: (self.cluster.find("lease", "a86165bb.stoker.io", "-n", NAMESPACE) or {}).get("spec", {})
        until("the pod leads", lambda: holder().get("holderIdentity") == self.pod.name)
        self.report("the container runs as rendered, with the ServiceAccount's token, and leads")
        for address in ("127.0.0.1", "::1"):
            if has_address(address):
                for port in (8081, 8443, 9444):
                    socket.create_connection((address, port), timeout=5).close()
        self.report("probes, metrics and receiver listen on each IP family of this machine")

    def refuse_a_second_release(self):
        other = ["other", CHART, "-n", "other", "--create-namespace", "--set", "crds.install=false"]
        refused = self.cluster.failing("helm", "install", *other)
        assert f"the release {RELEASE} in the namespace {NAMESPACE} serves all namespaces already" in refused, refused
        # The chart does not look for a ClusterRole here, which needs rights beyond the namespace.
        self.cluster.helm("install", *other, "--set", "rbac.scope=namespace")
        upgrade = ["helm", "upgrade", RELEASE, CHART, "-n", NAMESPACE, "--reuse-values"]
        refused = self.cluster.failing(*upgrade)
        assert "the release other serves the namespace other already" in refused, refused
        self.cluster.helm("uninstall", "other", "-n", "other")
        assert self.cluster.find("role", "stoker-agent", "-n", "other"), "the agents lost their rights"
        self.cluster.run(*upgrade, "--dry-run=server")
        self.report("a release beside one that serves the same namespaces is refused, and not beside an uninstalled one")

    def follow_the_guide(self):
        self.cluster.kubectl("create", "namespace", "my-namespace")
        self.cluster.apply(*gateway_sync("my-namespace", self.git.url))
        self.until_resolved(self.git.commit("main"))
        self.report("spec.git.ref is resolved and published without a webhook")

        output = until("the object is known", self.curl_of_the_notes)
        assert '"accepted":true' in output and '"ref":"v1.0.0"' in output, output
        self.until_resolved(self.git.commit("v1.0.0"))
        self.report("the curl that helm prints is accepted as it is printed")

        for number, (plugin, payload) in enumerate(PAYLOADS.items()):
            ref = f"v2.0.{number}"
            commit = self.git.tag(ref)
            status, answer = self.send(payload(ref))
            assert status == 202 and answer["plugin"] == plugin and answer["ref"] == ref, answer
            self.until_resolved(commit)
            found = self.cluster.get("gatewaysync", "my-sync", "-n", "my-namespace")["metadata"]["annotations"]
            assert (found["stoker.io/requested-ref"], found["stoker.io/requested-by"]) == (ref, plugin), found
        self.report(f"the payloads are recognised: {', '.join(PAYLOADS)}")

        assert self.send(GENERIC("v1.0.0"), signed=False)[0] == 401
        wrong = {"X-Hub-Signature-256": "sha256=" + "0" * 64}
        assert self.send(GENERIC("v1.0.0"), wrong, signed=False)[0] == 401
        assert self.send(GENERIC("v1.0.0"), name="nobody")[0] == 404
        self.report("a missing or wrong signature is answered with 401, and an unknown object with 404")

        self.cluster.apply(INGRESS)
        backend = INGRESS["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
        service = self.cluster.get("service", backend["name"], "-n", NAMESPACE)["spec"]
        assert backend["port"]["number"] in [port["port"] for port in service["ports"]], service
        self.report("the guide's Ingress refers to the Service")

        self.patch({"polling": {"enabled": False}})
        commit = self.git.tag("v2.1.0")
        assert self.send(GENERIC("v2.1.0"))[0] == 202
        self.until_resolved(commit)
        self.report("webhooks work with polling disabled")

    def curl_of_the_notes(self):
        notes = self.cluster.helm("get", "notes", RELEASE, "-n", NAMESPACE)
        begin, end = notes.index("  secret=$("), notes.index("To list the plugins")
        lines = notes[begin:end].split("`helm test")[0]
        self.url()
        output = self.cluster.shell(lines.replace("curl -X", "curl -s -X"))
        return output if "no such" not in output else None

    def mount_a_plugin(self):
        """Creates a plugin and mounts it from a ConfigMap."""
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
        self.report("a plugin in a mounted ConfigMap answers")

        broken = f"{self.scratch}/broken"
        Path(broken).write_bytes(b"broken")
        self.replace("acme-plugins", f"acme.wasm={broken}")
        self.pod.sync()
        until("the broken plugin is refused", lambda: self.pod.plugins()["acme.wasm"]["state"] == "serving-previous")
        assert self.sample_is_accepted()
        self.replace("acme-plugins", f"acme.wasm={project}/acme.wasm")
        self.pod.sync()
        until("the plugin is repaired", lambda: self.pod.plugins()["acme.wasm"]["state"] == "serving")
        self.report("a broken update of the plugin has no effect, and a good one takes effect")

    def give_a_plugin_inline(self):
        self.cluster.shell("{ cat acme.wasm; head -c 340000 /dev/urandom; } | base64 -w0 > large.b64", at=self.project)
        large = ["--set-file", f"plugins.inline.acme={self.project}/large.b64"]
        refused = self.cluster.failing("helm", "upgrade", RELEASE, CHART, "-n", NAMESPACE, "--reuse-values", *large)
        assert "more than the 340000 that Helm can keep" in refused, refused
        self.cluster.shell("base64 -w0 acme.wasm > acme.b64", at=self.project)
        inline = ["--set-file", f"plugins.inline.acme={self.project}/acme.b64"]
        self.upgrade("--set-json", "plugins.configMaps=[]", *inline)
        until("the plugin answers", self.sample_is_accepted)
        upgrade = ["upgrade", RELEASE, CHART, "-n", NAMESPACE, "--reuse-values"]
        self.cluster.helm(*upgrade, "--set", "plugins.disable={acme}")
        self.pod.sync()
        until("the plugin is off", lambda: self.send(self.payload, self.headers)[0] == 400)
        self.cluster.helm(*upgrade, "--set-json", "plugins.disable=[]", "--set-json", "plugins.inline=null")
        self.report("a plugin in the values answers, and is switched off without a restart")

    def label_a_plugin(self):
        """Creates a plugin in a labelled ConfigMap, before the pod starts and while it runs."""
        self.bring_plugin(CHART_PAGE, "helm upgrade stoker")
        self.start_pod()
        self.until_the_sample_is_accepted_and_refused("acme-plugin")

        anvil = "kubectl create configmap anvil-plugin -n stoker-system --from-file=anvil.wasm"
        self.bring_plugin(AUTHORING, f"{anvil}\n")
        until("the labelled plugin answers", self.sample_is_accepted)
        self.bring_plugin(AUTHORING, f"{anvil} --dry-run")
        self.until_the_sample_is_accepted_and_refused("anvil-plugin")
        assert "anvil-plugin/acme.wasm" in self.pod.log(), self.pod.log()

        begun = time.monotonic()
        self.bring_plugin(REFERENCE, "kubectl create configmap")
        until("the labelled plugin answers", self.sample_is_accepted)
        assert self.pod.plugins()["acme-plugin/acme.wasm"]["state"] == "serving"
        self.report(f"a plugin in a labelled ConfigMap answers {time.monotonic() - begun:.1f} s after kubectl began")

    def until_the_sample_is_accepted_and_refused(self, config_map):
        until("the labelled plugin answers", self.sample_is_accepted)
        self.cluster.kubectl("delete", "configmap", config_map, "-n", NAMESPACE)
        until("the plugin is removed", lambda: self.send(self.payload, self.headers)[0] == 400)

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
        self.report("option 1, an inline secret, is kept in a Secret")

    def give_a_token(self):
        self.cluster.kubectl("create", "secret", "generic", "webhook-token", "-n", NAMESPACE, "--from-literal=webhook-token=t0ken")
        self.upgrade("--set", "webhookReceiver.token.secretRef.name=webhook-token")
        until("the object is known", lambda: self.accepted(GENERIC("v3.0.0")))
        bearer = {"Authorization": "Bearer t0ken"}
        assert self.accepted(GENERIC("v1.0.0"), bearer, signed=False)
        self.until_resolved(self.git.commit("v1.0.0"))
        self.report("a sender that cannot sign authenticates with a token")

    def count_an_event(self):
        """Sends what is ignored several times, which one event counts."""
        def is_counted():
            status, answer = self.send({"zen": "x"}, {"X-GitHub-Event": "ping"})
            assert status == 200, answer
            events = self.cluster.get("events", "-n", "my-namespace")["items"]
            return any(event["reason"] == "WebhookIgnored" and event["count"] > 1 for event in events)

        until("an event counts the ignored webhooks", is_counted)

    def pause(self):
        def is_reported():
            events = self.cluster.get("events", "-n", "my-namespace")["items"]
            return any(event["reason"] == "Paused" for event in events)

        self.patch({"paused": True})
        until("the pause is reported", is_reported)
        assert self.send(GENERIC("v3.0.0"))[0] == 202
        assert self.is_resolved(self.git.commit("v1.0.0")), "the pause had no effect"
        self.patch({"paused": False})
        self.until_resolved(self.git.commit("v3.0.0"))
        self.report("a request during a pause is handled afterwards")

    def look_around(self):
        described = self.follow(SYMPTOMS, "kubectl describe gatewaysync")
        assert "RefResolved" in described and "requested-ref: v3.0.0" in described, described
        for page in (SYMPTOMS, OPERATIONS):
            assert "a86165bb.stoker.io" in self.follow(page, "kubectl get lease")
        lists = self.pod.execute("stoker", "plugin", "list", "--host", "http://localhost:8081")
        assert lists == self.follow(REFERENCE, "stoker plugin list --host") and "acme" in lists, lists
        in_the_pod = f"kubectl exec -n {NAMESPACE} deploy/{DEPLOYMENT} -- "
        assert lists == self.follow(SYMPTOMS, "kubectl exec", replace={in_the_pod: ""})
        self.count_an_event()
        self.report("lease, conditions, events and plugins are shown")

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
        self.report("an annotation requests a ref, and its removal returns to the spec")

    def upgrade_again(self):
        before = self.cluster.helm("get", "values", RELEASE, "-n", NAMESPACE)
        self.follow(OPERATIONS, "helm upgrade")
        assert self.cluster.helm("get", "values", RELEASE, "-n", NAMESPACE) == before
        self.start_pod()
        until("the object is known", lambda: self.accepted(GENERIC("v1.0.0")))
        self.report("an upgrade keeps the values")

    def patch(self, spec):
        patch = json.dumps({"spec": spec})
        self.cluster.kubectl("patch", "gatewaysync", "my-sync", "-n", "my-namespace", "--type=merge", "-p", patch)

    def repair_and_delete(self):
        self.cluster.kubectl("delete", "configmap", "stoker-metadata-my-sync", "-n", "my-namespace")
        self.until_resolved(self.git.commit("v1.0.0"))
        sync = self.cluster.get("gatewaysync", "my-sync", "-n", "my-namespace")
        published = self.cluster.get("configmap", "stoker-metadata-my-sync", "-n", "my-namespace")
        owners = [owner["uid"] for owner in published["metadata"]["ownerReferences"]]
        assert owners == [sync["metadata"]["uid"]], published
        self.cluster.kubectl("delete", "gatewaysync", "my-sync", "-n", "my-namespace", "--timeout=30s")
        left = self.cluster.get("configmaps", "-n", "my-namespace")["items"]
        assert "stoker-metadata-my-sync" not in [one["metadata"]["name"] for one in left], left
        self.report("what is published is repaired, owned by its object, and deleted with it")

    def run_as_any_user(self):
        """As OpenShift's restricted-v2 does, which chooses the user id itself."""
        users = ("runAsUser", "runAsGroup", "fsGroup")
        self.upgrade("--set", ",".join(f"podSecurityContext.{user}=null" for user in users))
        assert not set(users) & self.pod.spec["securityContext"].keys(), self.pod.spec["securityContext"]
        self.report("the container runs as a user that the cluster chooses")

    def test_the_release(self):
        """With a secret of extraEnv, a port of extraArgs, and then with sources that exclude the pod of the test."""
        self.cluster.kubectl("create", "secret", "generic", "other", "-n", NAMESPACE, "--from-literal=secret=other")
        variable = {"name": "WEBHOOK_HMAC_SECRET", "valueFrom": {"secretKeyRef": {"name": "other", "key": "secret"}}}
        moved = {"extraEnv": [variable], "extraArgs": ["--webhook-receiver-port=19444", "--health-probe-bind-address=:18081"]}
        values = [argument for name, value in moved.items() for argument in ("--set-json", f"{name}={json.dumps(value)}")]
        self.upgrade(*values, "--set", "webhookReceiver.token.secretRef.name=")
        assert self.pod.port("webhook-rx") == 19444 and self.pod.port("probes") == 18081, self.pod.of_container
        assert self.test_release().startswith("404"), "the secret of extraEnv is not used"
        self.upgrade("--set", "webhookReceiver.allowedSources={140.82.112.0/20}")
        assert self.test_release().startswith("401"), "the source is not refused"
        self.upgrade("--set-json", "extraEnv=[]", "--set-json", "extraArgs=[]", "--set-json", "webhookReceiver.allowedSources=[]")
        self.report("helm test passes with secrets and ports of extraEnv and extraArgs, and with other sources")

    def keep_to_one_namespace(self):
        self.cluster.apply(*gateway_sync("my-namespace", self.git.url), *gateway_sync(NAMESPACE, self.git.url))
        # A reconciliation in progress would fail without the rights.
        self.stop_pod()
        self.upgrade("--set", "rbac.scope=namespace")
        roles = self.cluster.get("clusterrolebindings", "-l", f"app.kubernetes.io/instance={RELEASE}")["items"]
        assert not roles, "a right beyond the namespace remains"
        commit = self.git.tag("v4.0.0")
        until("the object is known", lambda: self.send(GENERIC("v4.0.0"), namespace=NAMESPACE)[0] == 202)
        self.until_resolved(commit, NAMESPACE)
        assert self.send(GENERIC("v4.0.0"))[0] == 404
        self.cluster.kubectl("delete", "gatewaysync", "my-sync", "-n", NAMESPACE, "--timeout=30s")
        self.report("rbac.scope=namespace works with rights in its namespace alone")

    def uninstall(self):
        self.stop_pod()
        self.follow(OPERATIONS, "helm uninstall")
        left = {kind_and_name.partition(".")[0] for kind_and_name in self.cluster.of_release(RELEASE)}
        assert left == {"clusterrole", "role"}, left
        assert self.cluster.find("role", "stoker-agent", "-n", NAMESPACE), "the agents lost their rights"
        assert self.cluster.find("gatewaysync", "my-sync", "-n", "my-namespace"), "an object was removed with the chart"
        assert self.cluster.find("secret", "webhook-hmac", "-n", NAMESPACE), "a user's secret was removed"
        self.report("uninstalling leaves the definition, the users' objects and the rights of the agents, and nothing else")

        self.follow(OPERATIONS, "kubectl patch gatewaysync")
        self.cluster.kubectl("delete", "gatewaysync", "my-sync", "-n", "my-namespace", "--timeout=30s")
        self.report("the finalizer of a remaining object can be removed")

    def install_under_another_name(self):
        """After the definition and the roles of the agents were kept with the first release's name on them."""
        other = ["stoker-prod", CHART, "-n", "stoker-prod", "--create-namespace"]
        refused = self.cluster.failing("helm", "install", *other)
        assert "invalid ownership metadata" in refused, refused
        kept = (("crd", "gatewaysyncs.stoker.io"), ("clusterrole", "stoker-agent"))

        def check_owner(release):
            for place in kept:
                owner = self.cluster.get(*place)["metadata"]["annotations"]["meta.helm.sh/release-name"]
                assert owner == release, (place, owner)

        without = ["--set", "crds.install=false"]
        self.cluster.helm("install", *other, *without)
        self.cluster.helm("upgrade", *other[:2], "-n", "stoker-prod", *without)
        check_owner(RELEASE)
        self.cluster.helm("uninstall", "stoker-prod", "-n", "stoker-prod")
        self.report("a release of another name leaves what was kept unchanged with crds.install=false")
        self.cluster.helm("install", RELEASE, CHART, "-n", NAMESPACE)
        self.cluster.helm("uninstall", RELEASE, "-n", NAMESPACE)
        self.report("a release of the same name installs")
        self.follow(OPERATIONS, "helm install stoker-prod")
        check_owner("stoker-prod")
        self.cluster.helm("uninstall", "stoker-prod", "-n", "stoker-prod")
        self.report("a release of another name takes over what was kept")

    def compare_rights(self):
        audit_log = os.path.join(os.path.dirname(self.cluster.kubeconfig), "audit.log")
        did, refused = rights.used(audit_log, f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}")
        rights.check(self.rights, did, refused)
        self.report(f"{len(self.rights)} rights granted, all used, none missing")
