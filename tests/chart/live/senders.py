"""The page of the senders: each of its commands is run as it is printed, against the installed chart."""

import re
import textwrap

import commands
from cluster import until
from story import NAMESPACE, RELEASE, CHART, ROOT, SECRET, Story, gateway_sync

PAGE = "docs/webhook-setup.md"
# The refs of images are a matter of settings, which the page shows as a values file.
FENCE = r"```{}\n((?:(?!```).)*{}(?:(?!```).)*)```"

# The senders that sign an id and a time, a word that only their command has, and the ref that it announces.
MESSAGES = [("GitLab, signed", "msg_2", "v1.0.16"), ("Standard Webhooks", "msg_1", "v1.0.14"), ("Svix", "svix-id", "v1.0.18")]


class Senders(Story):
    NAME = "senders"

    def play(self):
        self.cluster.kubectl("create", "namespace", NAMESPACE)
        self.cluster.kubectl("create", "namespace", "my-namespace")
        self.prepare_namespace()
        self.cluster.helm(
            "install", RELEASE, CHART, "-n", NAMESPACE, "--values", self.values(), "--set", f"webhookReceiver.hmac.secret={SECRET}"
        )
        self.start_pod()
        self.cluster.apply(*gateway_sync("my-namespace", self.git.url))
        self.until_resolved(self.git.commit("main"))
        self.send_each()
        self.send_signed_messages()
        self.use_a_secret_of_its_own()

    def values(self):
        """Returns a file with the settings that the page shows for pushes of images."""
        page = (ROOT / PAGE).read_text()
        (values,) = re.findall(FENCE.format("yaml", "plugins:"), page, re.DOTALL)
        path = f"{self.scratch}/values.yaml"
        with open(path, "w") as file:
            file.write(values)
        return path

    def prelude(self, secret):
        """Returns the variables and the function that the page defines, for this receiver."""
        page = (ROOT / PAGE).read_text()
        (lines,) = re.findall(FENCE.format("bash", "sign\\(\\)"), page, re.DOTALL)
        url = "https://HOST/webhook/my-namespace/my-sync"
        assert url in lines and "my-webhook-secret" in lines
        return lines.replace(url, self.url()).replace("my-webhook-secret", secret)

    def send_each(self):
        listed = [beginning for beginning, story in commands.RUN_BY[PAGE].items() if story == self.NAME and beginning.startswith("curl")]
        host = self.url().removeprefix("http://").partition("/")[0]
        for beginning in listed:
            command = self.shown_in(PAGE, beginning)
            ref = re.findall(r"v1\.0\.\d+", command)[-1]
            if not self.git.has(ref):
                self.git.tag(ref)
            # Only the address differs from the page.
            script = self.prelude(SECRET) + command.replace("https://stoker:", "http://stoker:").replace("@HOST/", f"@{host}/")
            answer = until(f"{beginning} is accepted", lambda: self.accepted_answer(script))
            assert ref in answer, f"{command}\n{answer}"
            self.until_resolved(self.git.commit(ref))
            self.report(f"{' '.join(command.split()[3:6])} … {ref}")
            wrong = self.prelude("another-secret") + script[len(self.prelude(SECRET)):]
            refused = self.cluster.shell(wrong)
            assert '"reason":"unauthorized"' in refused, f"{command}\n{refused}"

    def send_signed_messages(self):
        for sender, word, ref in MESSAGES:
            (command,) = re.findall(FENCE.format("bash", word), (ROOT / PAGE).read_text(), re.DOTALL)
            assert ref in command, command
            self.git.tag(ref)
            assert self.accepted_answer(self.prelude(SECRET) + command), command
            self.until_resolved(self.git.commit(ref))
            refused = self.cluster.shell(self.prelude("another-secret") + command)
            assert '"reason":"unauthorized"' in refused, refused
            self.report(f"{sender} … {ref}")

    def accepted_answer(self, script):
        answer = self.cluster.shell(script)
        return answer if '"accepted":true' in answer else None

    def use_a_secret_of_its_own(self):
        self.follow(PAGE, "kubectl create secret generic plant-webhook")
        read = "kubectl get secret -n my-namespace plant-webhook -o jsonpath={.data.secret} | base64 -d"
        own = self.cluster.shell(read)
        script = textwrap.dedent(self.shown_in(PAGE, 'curl -X POST "$URL" -H "X-Hub-Signature-256'))
        until("the object has its own secret", lambda: self.accepted_answer(self.prelude(own) + script))
        refused = self.cluster.shell(self.prelude(SECRET) + script)
        assert '"reason":"unauthorized"' in refused, refused
        self.report("an object with a secret of its own accepts this secret only")
