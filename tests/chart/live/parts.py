"""From the Go operator to Stoker, one part after the other, and each step back."""

import json
import re
from pathlib import Path

from cluster import until
from gateway import Gateway, empty_directory
from go_operator import AT, DATA, IMAGE, NAME, PUBLISHED, GoAgent, GoController, injected, pod_of_a_gateway
from migrating import PAGE, Migrating
from story import CHART, NAMESPACE, RELEASE, ROOT

FILE = "projects/boiler/view.json"
OURS = {"repository": "registry.example.com/stoker-agent", "tag": "0.9.0"}


class Parts(Migrating):
    NAME = "parts"

    def play(self):
        self.begin_with_the_go_operator()
        self.replace_the_controller()
        self.replace_the_injector()
        self.replace_the_agents_of_the_object()
        self.replace_all_agents()
        self.try_the_agents_first()

    # The parts.

    def begin_with_the_go_operator(self):
        self.number = 0
        self.commit_files()
        self.install_the_go_operator()
        metadata = {"name": "default", "namespace": AT[1]}
        self.cluster.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
        self.gateway = Gateway(8088, "name:value")
        self.ending.append(self.gateway.stop)
        self.operator = GoController(self.cluster, self.git)
        self.operator.adopt()
        # Agents by their pods. The others are those of Stoker.
        self.data, self.go_agents, self.ours = {}, {}, {}
        self.request(self.commit_files())
        self.operator.reconcile()
        self.create_by_the_go_operator("gw-0")
        self.until_synced_under_the_go_operator()
        self.report("the stand-ins of the Go operator bring a commit to a gateway")

    def replace_the_controller(self):
        before = self.published()
        agent = self.go_agents["gw-0"]
        syncs = agent.syncs
        for label in ("the controller is replaced", "the controller is replaced again"):
            self.upgrade_to_stoker()
            until("the object is ready", self.is_ready)
            after = self.published()
            same = [key for key, value in before.items() if after[key] != value]
            assert not same, (before, after)
            agent.look()
            assert agent.syncs == syncs, "the agent of the Go operator syncs again"
            self.sync_by_webhook()
            self.report(f"{label}: the agent of the Go operator goes on, and gets a new commit")
            if label.endswith("again"):
                return
            self.return_to_the_go_operator()
            before, syncs = self.published(), agent.syncs
            self.report("the Go operator is back, and its agent gets a new commit")

    def replace_the_injector(self):
        theirs = self.cluster.get("pod", "gw-0", *AT)
        ours = self.create_by_stoker("gw-1", IMAGE)
        for field in ("initContainers", "containers", "volumes"):
            assert ours["spec"][field] == theirs["spec"][field], (ours["spec"][field], theirs["spec"][field])
        # kubectl apply adds an annotation of its own.
        ours["metadata"]["annotations"].pop("kubectl.kubernetes.io/last-applied-configuration")
        for field in ("labels", "annotations"):
            assert ours["metadata"][field] == theirs["metadata"][field], ours["metadata"]
        self.sync_by_webhook()
        self.report("the injector is replaced: a new pod is the one that the Go operator makes")
        self.return_to_the_go_operator()
        self.report("the Go operator is back, and both pods get a new commit")
        self.upgrade_to_stoker()

    def replace_the_agents_of_the_object(self):
        self.set_image(OURS)
        self.replace_pod("gw-1", OURS)
        self.sync_by_webhook()
        self.report("the agents of an object are replaced: one of each project is synced")
        self.set_image(None)
        self.replace_pod("gw-1", None)
        self.sync_by_webhook()
        self.report("the previous image is back, with the files that the agent of Stoker wrote")

    def replace_all_agents(self):
        self.upgrade_to_stoker(OURS)
        self.replace_pod("gw-1", OURS)
        self.sync_by_webhook()
        self.report("agentImage replaces the agents of new pods")
        self.upgrade_to_stoker()
        self.replace_pod("gw-1", None)
        self.sync_by_webhook()
        self.report("the previous agentImage is back")

    def try_the_agents_first(self):
        self.return_to_the_go_operator()
        self.set_image(OURS)
        self.remove_pod("gw-1")
        self.create_by_the_go_operator("gw-1", OURS)
        self.until_synced_under_the_go_operator()
        self.request(self.commit_files())
        self.until_synced_under_the_go_operator()
        self.report("under the Go operator, an agent of Stoker brings commits")
        self.set_image(None)
        self.remove_pod("gw-1")
        self.create_by_the_go_operator("gw-1")
        self.until_synced_under_the_go_operator()
        self.report("the previous image is back under the Go operator")

    # The release.

    def upgrade_to_stoker(self, agents=None):
        """Upgrades with the values of the Go operator's chart, and its image for agents or another one."""
        if self.pod:
            self.stop_pod()
        for verb, flags in (
            ("annotate", [f"meta.helm.sh/release-name={RELEASE}", f"meta.helm.sh/release-namespace={NAMESPACE}"]),
            ("label", ["app.kubernetes.io/managed-by=Helm"]),
        ):
            self.cluster.kubectl(verb, "--overwrite", "crd", "gatewaysyncs.stoker.io", *flags)
        image = Path(self.scratch, "agents.yaml")
        image.write_text(json.dumps({"agentImage": agents}) if agents else agent_image_of_the_page())
        values = ["-f", f"{self.scratch}/values.yaml", "-f", str(image)]
        self.cluster.helm("upgrade", RELEASE, CHART, "-n", NAMESPACE, *values)
        self.start_pod()
        self.route_the_webhook()

    def return_to_the_go_operator(self):
        """Returns as the page says, and syncs another commit."""
        self.stop_pod()
        history = json.loads(self.cluster.helm("history", RELEASE, "-n", NAMESPACE, "-o", "json"))
        revision = [one["revision"] for one in history if one["chart"] == "stoker-operator-0.7.0"][-1]
        self.cluster.helm("rollback", RELEASE, str(revision), "-n", NAMESPACE)
        # What is on the objects from before the return is not done twice, and not forgotten.
        commit = self.operator.reconcile()
        for name, agent in self.go_agents.items():
            syncs = agent.syncs
            assert agent.look() == commit and agent.syncs == syncs, f"{name} syncs again"
        self.request(self.commit_files())
        self.until_synced_under_the_go_operator()

    # The object and its repository.

    def commit_files(self):
        """Commits a file of a project, and returns the tag."""
        self.number += 1
        file = Path(self.git.path, FILE)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.text())
        self.git.run("add", "--all")
        tag = f"v2.{self.number}.0"
        self.commit = self.git.tag(tag)
        return tag

    def text(self):
        return f'{{"version": {self.number}}}\n'

    def request(self, tag):
        """Requests a tag as the Go operator's receiver does."""
        annotations = [f"stoker.io/requested-ref={tag}", "stoker.io/requested-at=2026-11-02T08:30:00Z"]
        self.cluster.kubectl("annotate", "gatewaysync", NAME, *AT, "--overwrite", *annotations, "stoker.io/requested-by=github")

    def set_image(self, image):
        patch = json.dumps({"spec": {"agent": {"image": image}}})
        self.cluster.kubectl("patch", "gatewaysync", NAME, *AT, "--type=merge", "-p", patch)

    def published(self):
        data = self.cluster.get("configmap", PUBLISHED, *AT)["data"]
        return {key: data[key] for key in ("commit", "ref", "gitURL", "paused", "profiles")}

    def sync_by_webhook(self):
        """Brings a new commit to all gateways under Stoker."""
        tag = self.commit_files()
        until("the webhook is accepted", lambda: self.accepted({"ref": tag}))
        self.until_resolved(self.commit)
        self.until_synced(self.is_ready)

    def until_synced_under_the_go_operator(self):
        self.operator.reconcile()
        self.until_synced(lambda: self.operator.reconcile() and self.is_ready())

    def until_synced(self, is_ready):
        def is_synced():
            for agent in self.go_agents.values():
                agent.look()
            return all(read(data) == self.text() for data in self.data.values())

        try:
            until(f"the files of {self.commit} are on all gateways", is_synced, 60)
            until("the object is ready", is_ready, 60)
        except AssertionError as error:
            status = self.cluster.get("gatewaysync", NAME, *AT).get("status")
            logs = [agent.log() for agent in self.ours.values()] + [self.pod.log() if self.pod else ""]
            raise AssertionError(f"{error}\n{json.dumps(status)}\n{''.join(logs)}") from None

    def is_ready(self):
        status = self.cluster.get("gatewaysync", NAME, *AT).get("status", {})
        ready = [one for one in status.get("conditions", []) if one["type"] == "Ready"]
        gateways = {one["podName"]: one.get("syncedCommit") for one in status.get("discoveredGateways", [])}
        return bool(ready) and ready[0]["status"] == "True" and gateways == dict.fromkeys(self.data, self.commit)

    # The pods.

    def create_by_the_go_operator(self, name, image=None):
        reference = f"{image['repository']}:{image['tag']}" if image else IMAGE
        pod = injected(self.cluster, pod_of_a_gateway(self.cluster, name), reference)
        self.cluster.kubectl("create", "-f", "-", stdin=json.dumps(pod))
        self.start(self.cluster.get("pod", name, *AT), image)

    def create_by_stoker(self, name, reference, image=None):
        created = self.create_with_agent(pod_of_a_gateway(self.cluster, name))
        assert created["spec"]["initContainers"][0]["image"] == reference, created["spec"]["initContainers"]
        self.start(created, image)
        return created

    def replace_pod(self, name, image):
        self.remove_pod(name)
        self.create_by_stoker(name, f"{image['repository']}:{image['tag']}" if image else IMAGE, image)

    def start(self, pod, image):
        """Starts the agent of a pod: that of Stoker if there is an image, and otherwise that of the Go operator."""
        name = pod["metadata"]["name"]
        data = self.data.setdefault(name, empty_directory())
        if image:
            self.ours[name] = self.start_agent(pod, {DATA: data})
            return
        self.go_agents[name] = GoAgent(self.cluster, self.git, pod, data)
        patch = ["patch", "pod", name, *AT, "--subresource=status", "--type=merge", "-p"]
        self.cluster.kubectl(*patch, json.dumps({"status": {"phase": "Running"}}))

    def remove_pod(self, name):
        self.go_agents.pop(name, None)
        if name in self.ours:
            agent = self.ours.pop(name)
            agent.stop()
            self.ending.remove(agent.remove)
        self.cluster.kubectl("delete", "pod", name, *AT, "--grace-period=0", "--force")


def agent_image_of_the_page():
    """The values that keep the agents of the Go operator."""
    blocks = re.findall(r"^```yaml\n(.*?)^```$", (ROOT / PAGE).read_text(), re.M | re.S)
    (found,) = [block for block in blocks if block.startswith("agentImage:")]
    repository, tag = IMAGE.rsplit(":", 1)
    assert f"repository: {repository}\n" in found and f"tag: {tag}\n" in found, found
    return found


def read(directory):
    try:
        return Path(directory, FILE).read_text()
    except FileNotFoundError:
        return None
