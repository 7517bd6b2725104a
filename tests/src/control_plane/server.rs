//! A server process, such as one of the control plane.

use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The number of a server's last log lines in an error.
const LOG_LINES_SHOWN: usize = 20;

/// Starts a guard and then replaces the shell by the server. The guard kills the
/// server when the pipe on standard input closes. The pipe closes when this
/// process ends, even by SIGKILL, so that no server is left running. The guard
/// kills its process group, whose id is not reused while the guard is a member.
const GUARDED_EXEC: &str = r#"
    exec 3<&0 </dev/null
    { read -r _ <&3; kill -KILL 0; } &
    exec 3<&-
    exec "$@"
"#;

/// A server process. It ends when this value is dropped, or when this process ends.
#[derive(Debug)]
pub(crate) struct Server {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts `program` in `directory`. Its log is appended to a file there, which is named after it.
    pub(crate) fn start(
        name: &'static str,
        program: &Path,
        arguments: &[String],
        directory: &Path,
    ) -> Result<Self> {
        let log = directory.join(format!("{name}.log"));
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("cannot create {}", log.display()))?;
        let child = Command::new("/bin/sh")
            .args(["-c", GUARDED_EXEC, name])
            .arg(program)
            .args(arguments)
            .current_dir(directory)
            // Both servers read variables such as ETCD_NAME or HTTPS_PROXY.
            .env_clear()
            // A Ctrl-C in the terminal ends the whole foreground group. The
            // servers stay in use while the command cleans up.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(output.try_clone().context("cannot share the log file")?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { name, child, log })
    }

    /// Sends a signal to the server.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let id = Pid::from_raw(self.id().try_into().context("a process id")?);
        kill(id, signal).with_context(|| format!("cannot send {signal} to {}", self.name))
    }

    /// Returns the id of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns whether the server has exited.
    pub(crate) fn has_exited(&mut self) -> Result<bool> {
        let status = self.child.try_wait();
        Ok(status
            .with_context(|| format!("cannot watch {}", self.name))?
            .is_some())
    }

    /// Fails, with the end of the log, if the server has exited.
    pub(crate) fn check_running(&mut self) -> Result<()> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => bail!("{} exited: {status}\n{}", self.name, self.log_end()),
            Err(error) => Err(error).with_context(|| format!("cannot watch {}", self.name)),
        }
    }

    /// Returns the last lines of the server's log, for an error message.
    pub(crate) fn log_end(&self) -> String {
        let log = match fs::read(&self.log) {
            Ok(log) => String::from_utf8_lossy(&log).into_owned(),
            Err(error) => return format!("(the log of {} cannot be read: {error})", self.name),
        };
        let lines: Vec<&str> = log.lines().collect();
        let shown = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
        format!("end of {}'s log:\n{}", self.name, shown.join("\n"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both calls fail only if the process has ended. The server is killed,
        // because its data is not needed any more.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use nix::errno::Errno;
    use nix::sys::signal::kill;
    use nix::unistd::Pid;
    use tempfile::TempDir;

    use super::*;

    fn sleeping_server(directory: &TempDir) -> Server {
        let arguments = ["600".to_owned()];
        Server::start(
            "sleeper",
            Path::new("/bin/sleep"),
            &arguments,
            directory.path(),
        )
        .unwrap()
    }

    #[test]
    fn dropping_a_server_ends_its_process() {
        let directory = tempfile::tempdir().unwrap();
        let server = sleeping_server(&directory);
        let id = Pid::from_raw(server.child.id().try_into().unwrap());
        assert_eq!(kill(id, None), Ok(()));

        drop(server);

        assert_eq!(kill(id, None), Err(Errno::ESRCH));
    }

    #[test]
    fn a_server_ends_when_the_process_that_started_it_does() {
        let directory = tempfile::tempdir().unwrap();
        let mut server = sleeping_server(&directory);

        // The end of this process closes the pipe in the same way.
        drop(server.child.stdin.take());

        let status = server.child.wait().unwrap();
        assert_eq!(status.signal(), Some(9));
    }
}
