//! A process that runs in the background, such as a server of the control plane, and the ports for servers.

use std::fs::{self, OpenOptions};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The number of a process's last log lines in an error.
const LOG_LINES_SHOWN: usize = 20;

/// Starts a guard and then replaces the shell by the program. The guard kills the
/// program when the pipe on standard input closes. The pipe closes when this
/// process ends, even by SIGKILL, so that no program is left running. The guard
/// kills its process group, whose id is not reused while the guard is a member.
const GUARDED_EXEC: &str = r#"
    exec 3<&0 </dev/null
    { read -r _ <&3; kill -KILL 0; } &
    exec 3<&-
    exec "$@"
"#;

/// A process in the background. It ends when this value is dropped, or when this process ends.
#[derive(Debug)]
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program` in `directory`. Its log is appended to a file there, which is named after it.
    pub(crate) fn start(
        name: &'static str,
        program: &Path,
        arguments: &[String],
        directory: &Path,
    ) -> Result<Self> {
        Self::start_with(name, program, arguments, &[], directory)
    }

    /// Starts `program` in `directory` with these variables of the environment, and no others.
    pub(crate) fn start_with(
        name: &'static str,
        program: &Path,
        arguments: &[String],
        variables: &[(&str, &str)],
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
            // Servers read variables such as ETCD_NAME or HTTPS_PROXY.
            .env_clear()
            .envs(variables.iter().copied())
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

    /// Sends a signal to the process.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let id = Pid::from_raw(self.id().try_into().context("a process id")?);
        kill(id, signal).with_context(|| format!("cannot send {signal} to {}", self.name))
    }

    /// Returns the id of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns whether the process has exited.
    pub(crate) fn has_exited(&mut self) -> Result<bool> {
        let status = self.child.try_wait();
        Ok(status
            .with_context(|| format!("cannot watch {}", self.name))?
            .is_some())
    }

    /// Fails, with the end of the log, if the process has exited.
    pub(crate) fn check_running(&mut self) -> Result<()> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => bail!("{} exited: {status}\n{}", self.name, self.log_end()),
            Err(error) => Err(error).with_context(|| format!("cannot watch {}", self.name)),
        }
    }

    /// Returns the last lines of the log, for an error message.
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

impl Drop for Process {
    fn drop(&mut self) {
        // Both calls fail only if the process has ended. The process is killed,
        // because its data is not needed any more.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns a port on which no process listens, for a server that may be started again on it. The kernel does not choose
/// it for an outgoing connection, because such ports begin at 32768 (`ip(7)`).
pub(crate) fn free_port() -> Result<u16> {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Processes that run at the same time begin at different ports.
    let offset = std::process::id().wrapping_mul(97);
    for _ in 0..COUNT {
        let number = offset.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + number % COUNT)?;
        if TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).is_ok()
            || TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
        {
            return Ok(port);
        }
    }
    bail!("cannot find a free port")
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use nix::errno::Errno;
    use nix::sys::signal::kill;
    use nix::unistd::Pid;
    use tempfile::TempDir;

    use super::*;

    fn sleeping(directory: &TempDir) -> Process {
        let arguments = ["600".to_owned()];
        Process::start(
            "sleeper",
            Path::new("/bin/sleep"),
            &arguments,
            directory.path(),
        )
        .unwrap()
    }

    #[test]
    fn dropping_a_process_ends_it() {
        let directory = tempfile::tempdir().unwrap();
        let process = sleeping(&directory);
        let id = Pid::from_raw(process.child.id().try_into().unwrap());
        assert_eq!(kill(id, None), Ok(()));

        drop(process);

        assert_eq!(kill(id, None), Err(Errno::ESRCH));
    }

    #[test]
    fn a_process_ends_when_the_one_that_started_it_does() {
        let directory = tempfile::tempdir().unwrap();
        let mut process = sleeping(&directory);

        // The end of this process closes the pipe in the same way.
        drop(process.child.stdin.take());

        let status = process.child.wait().unwrap();
        assert_eq!(status.signal(), Some(9));
    }
}
