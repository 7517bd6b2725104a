//! A real Kubernetes control plane for tests: one etcd and one kube-apiserver.
//! Both are reachable from this machine only, and stop when it is dropped. The
//! API server can be stopped, paused and started again with its data.

use std::fs::{self, Permissions};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Namespace;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use nix::sys::signal::Signal;
use rcgen::KeyPair;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};
use uuid::Uuid;

use crate::process::{Process, free_port};

/// The time limit for the control plane to become ready. It needs about two
/// seconds on an idle machine, and more on a busy one.
const START_LIMIT: Duration = Duration::from_mins(1);

/// The interval between two readiness checks.
const POLL_PERIOD: Duration = Duration::from_millis(50);

/// The log message of kube-apiserver if its port is in use.
const PORT_TAKEN: &str = "address already in use";

/// The socket of etcd, relative to the working directory of both servers. In
/// contrast to a port, a socket file in a private directory cannot conflict with
/// another control plane, and cannot be reached by another user.
const ETCD_SOCKET: &str = "unix://etcd.sock";

/// A running control plane. Dropping it kills both servers, waits for them and
/// removes everything they wrote.
#[derive(Debug)]
pub struct ControlPlane {
    // Fields are dropped in this order: the API server before the etcd that it
    // uses, and the directory last.
    api_server: Option<Process>,
    etcd: Process,
    api_server_program: PathBuf,
    access: Access,
    directory: TempDir,
    version: String,
}

impl ControlPlane {
    /// Starts the `kube-apiserver` and the `etcd` found in `assets` and waits
    /// until the API is ready to be used.
    ///
    /// # Errors
    ///
    /// Fails if a program is missing, exits early or is not ready in time. The
    /// error then shows the end of that program's log.
    pub async fn start(assets: &Path) -> Result<Self> {
        match Self::start_once(assets).await {
            // Another process opened the port after it was chosen.
            Err(error) if format!("{error:#}").contains(PORT_TAKEN) => {
                Self::start_once(assets).await
            }
            outcome => outcome,
        }
    }

    /// Returns the path of a kubeconfig file with administrator rights.
    #[must_use]
    pub fn kubeconfig_path(&self) -> PathBuf {
        kubeconfig_in(self.directory.path())
    }

    /// Returns the version that the API server reports, such as `v1.35.4`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Kills the API server. Its data stays in etcd.
    pub fn stop_api_server(&mut self) {
        drop(self.api_server.take());
    }

    /// Starts the API server again on the same port, and waits until the API is ready to be used.
    ///
    /// # Errors
    ///
    /// Fails like [`Self::start`].
    pub async fn start_api_server(&mut self) -> Result<()> {
        let mut api_server = start_api_server(
            &self.api_server_program,
            self.access.port,
            self.directory.path(),
        )?;
        wait_until_ready(&mut self.etcd, &mut api_server, &self.access).await?;
        self.api_server = Some(api_server);
        Ok(())
    }

    /// Stops the execution of the API server, or continues it. While it is paused, the kernel accepts connections, and
    /// nothing answers.
    ///
    /// # Errors
    ///
    /// Fails if the API server does not run.
    pub fn pause_api_server(&self, is_paused: bool) -> Result<()> {
        let signal = if is_paused {
            Signal::SIGSTOP
        } else {
            Signal::SIGCONT
        };
        let api_server = self.api_server.as_ref().context("no API server runs")?;
        api_server.signal(signal)
    }

    async fn start_once(assets: &Path) -> Result<Self> {
        let etcd_program = program_in(assets, "etcd")?;
        let api_server_program = program_in(assets, "kube-apiserver")?;
        let directory = tempfile::Builder::new()
            .prefix("control-plane-")
            // It holds the administrator's token and etcd's unprotected socket.
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .context("cannot create the control plane's directory")?;
        let access = Access::create(directory.path(), free_port()?)?;

        let mut etcd = Process::start("etcd", &etcd_program, &etcd_arguments(), directory.path())?;
        let mut api_server = start_api_server(&api_server_program, access.port, directory.path())?;
        let version = wait_until_ready(&mut etcd, &mut api_server, &access).await?;
        Ok(Self {
            api_server: Some(api_server),
            etcd,
            api_server_program,
            access,
            directory,
            version,
        })
    }
}

fn start_api_server(program: &Path, port: u16, directory: &Path) -> Result<Process> {
    let arguments = api_server_arguments(port);
    Process::start("kube-apiserver", program, &arguments, directory)
}

/// Waits until the API can be used and returns the server's version.
async fn wait_until_ready(
    etcd: &mut Process,
    api_server: &mut Process,
    access: &Access,
) -> Result<String> {
    let deadline = Instant::now() + START_LIMIT;
    let mut poll = interval(POLL_PERIOD);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_failure = anyhow!("it never answered");
    while Instant::now() < deadline {
        poll.tick().await;
        etcd.check_running()?;
        api_server.check_running()?;
        match timeout_at(deadline, access.connect()).await {
            Ok(Ok(version)) => return Ok(version),
            Ok(Err(failure)) => last_failure = failure,
            // The deadline has passed, so this is the end of the loop.
            Err(_) => {}
        }
    }
    bail!(
        "the control plane was not ready within {START_LIMIT:?}: {last_failure:#}\n{}\n{}",
        api_server.log_end(),
        etcd.log_end(),
    )
}

/// The address and the administrator's credentials of an API server.
#[derive(Debug)]
struct Access {
    directory: PathBuf,
    port: u16,
    token: String,
}

impl Access {
    /// Writes the keys, tokens and policies of the API server.
    fn create(directory: &Path, port: u16) -> Result<Self> {
        let signing_key = KeyPair::generate().context("cannot generate a key")?;
        // The server signs with a PKCS#8 key, but does not accept the same file
        // for verification. So the public key has its own file.
        write(directory, "sign.pem", &signing_key.serialize_pem())?;
        write(directory, "verify.pem", &signing_key.public_key_pem())?;

        let token = Uuid::new_v4().simple().to_string();
        write(
            directory,
            "tokens.csv",
            &format!("{token},admin,admin,system:masters\n"),
        )?;
        write(directory, "audit.json", &audit_policy().to_string())?;
        Ok(Self {
            directory: directory.to_owned(),
            port,
            token,
        })
    }

    /// Tries once to use the API. If that succeeds, it writes the kubeconfig file.
    async fn connect(&self) -> Result<String> {
        // The server creates this certificate at its first start. The file
        // contains the certificate and the authority that signed it, which
        // clients need to verify the server.
        let certificate = self.directory.join("certs").join("apiserver.crt");
        let authority = fs::read(&certificate)
            .with_context(|| format!("cannot read {}", certificate.display()))?;
        let kubeconfig = self.kubeconfig(authority);

        let client = client_for(kubeconfig.clone()).await?;
        let readiness = http::Request::get("/readyz").body(Vec::new())?;
        client.request_text(readiness).await.context("not ready")?;
        // A controller in the server creates this namespace shortly after the
        // server is ready. Tests expect it in every cluster.
        Api::<Namespace>::all(client.clone())
            .get("default")
            .await
            .context("cannot read the default namespace")?;
        let version = client.apiserver_version().await?.git_version;

        // JSON is valid YAML, so every reader of kubeconfig files accepts it.
        fs::write(kubeconfig_in(&self.directory), format!("{kubeconfig:#}\n"))
            .context("cannot write the kubeconfig")?;
        Ok(version)
    }

    fn kubeconfig(&self, authority: Vec<u8>) -> Value {
        const NAME: &str = "control-plane";
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{
                "name": NAME,
                "cluster": {
                    "server": format!("https://{}:{}", Ipv4Addr::LOCALHOST, self.port),
                    "certificate-authority-data": ByteString(authority),
                },
            }],
            "users": [{"name": NAME, "user": {"token": self.token}}],
            "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME}}],
            "current-context": NAME,
        })
    }
}

/// Returns the audit policy. It records the requests of service accounts, whose rights are tested.
fn audit_policy() -> Value {
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{"level": "Metadata", "userGroups": ["system:serviceaccounts"]}, {"level": "None"}],
    })
}

fn etcd_arguments() -> Vec<String> {
    // etcd requires a host and a port in its advertised addresses. No other
    // member uses them, so nothing needs to listen there.
    let advertised = "http://127.0.0.1:1";
    vec![
        "--name=control-plane".to_owned(),
        "--data-dir=etcd".to_owned(),
        format!("--listen-client-urls={ETCD_SOCKET}"),
        format!("--advertise-client-urls={advertised}"),
        "--listen-peer-urls=unix://etcd-peer.sock".to_owned(),
        format!("--initial-advertise-peer-urls={advertised}"),
        format!("--initial-cluster=control-plane={advertised}"),
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ]
}

fn api_server_arguments(port: u16) -> Vec<String> {
    vec![
        format!("--etcd-servers={ETCD_SOCKET}"),
        "--cert-dir=certs".to_owned(),
        format!("--secure-port={port}"),
        "--bind-address=127.0.0.1".to_owned(),
        // Without these two flags, the server searches for an address that other
        // machines can reach, and fails on a machine without one.
        "--advertise-address=127.0.0.1".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        "--service-account-signing-key-file=sign.pem".to_owned(),
        "--service-account-key-file=verify.pem".to_owned(),
        "--token-auth-file=tokens.csv".to_owned(),
        "--authorization-mode=RBAC".to_owned(),
        "--audit-policy-file=audit.json".to_owned(),
        // The file is next to the kubeconfig file, where tests read it.
        "--audit-log-path=audit.log".to_owned(),
        // The log is written before the answer, so that a test finds the requests that it made.
        "--audit-log-mode=blocking".to_owned(),
        // This admission plugin refuses pods until their service account exists. The controller that creates service
        // accounts does not run here.
        "--disable-admission-plugins=ServiceAccount".to_owned(),
        // This admission plugin requires a right for owner references that block deletion, as on OpenShift.
        "--enable-admission-plugins=OwnerReferencesPermissionEnforcement".to_owned(),
        // The server calls webhooks at the endpoints of their Services, because nothing routes the addresses of Services.
        "--enable-aggregator-routing=true".to_owned(),
        // Both address families are configured, so that the server accepts Services of both.
        "--service-cluster-ip-range=10.0.0.0/24,fd00:10::/112".to_owned(),
    ]
}

async fn client_for(kubeconfig: Value) -> Result<Client> {
    let kubeconfig: Kubeconfig = serde_json::from_value(kubeconfig)?;
    let mut config =
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    // A proxy from HTTPS_PROXY cannot reach the loopback address of this machine.
    config.proxy_url = None;
    Ok(Client::try_from(config)?)
}

fn kubeconfig_in(directory: &Path) -> PathBuf {
    directory.join("kubeconfig")
}

fn program_in(assets: &Path, name: &str) -> Result<PathBuf> {
    // The path is absolute, because the server has another working directory.
    let program = std::path::absolute(assets.join(name))?;
    if !program.is_file() {
        bail!(
            "{} is missing; tests/control-plane/build.sh builds it",
            program.display()
        );
    }
    Ok(program)
}

fn write(directory: &Path, name: &str, content: &str) -> Result<()> {
    let path = directory.join(name);
    fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[tokio::test]
    async fn a_server_that_exits_early_is_reported_with_its_log() {
        // `cat` replaces both servers. It exists on every machine, and reports
        // unknown options.
        let assets = tempfile::tempdir().unwrap();
        symlink("/bin/cat", assets.path().join("etcd")).unwrap();
        symlink("/bin/cat", assets.path().join("kube-apiserver")).unwrap();

        let error = ControlPlane::start(assets.path()).await.unwrap_err();

        let message = format!("{error:#}");
        assert!(message.contains("exited: exit status: 1"), "{message}");
        assert!(message.contains("option"), "{message}");
    }

    #[tokio::test]
    async fn a_missing_program_is_named() {
        let assets = tempfile::tempdir().unwrap();

        let error = ControlPlane::start(assets.path()).await.unwrap_err();

        let message = error.to_string();
        assert!(message.contains("etcd is missing"), "{message}");
    }
}
