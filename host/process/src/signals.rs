//! The signals that end a program.

use std::io;
use std::task::Poll;

use tokio::signal::unix::{SignalKind, signal};

/// Returns a future that completes when the process receives SIGTERM, SIGINT or SIGHUP. A process that was started with
/// `nohup` continues to ignore SIGHUP.
pub fn termination() -> io::Result<impl Future<Output = ()>> {
    let mut kinds = vec![SignalKind::terminate(), SignalKind::interrupt()];
    // Without it, the state is unknown, as on another system than Linux.
    let state = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if !ignores(&state, SignalKind::hangup()) {
        kinds.push(SignalKind::hangup());
    }
    let signals = kinds.into_iter().map(signal);
    let mut signals = signals.collect::<io::Result<Vec<_>>>()?;
    Ok(std::future::poll_fn(move |context| {
        let mut signals = signals.iter_mut();
        if signals.any(|signal| signal.poll_recv(context).is_ready()) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }))
}

/// Returns whether a process ignores a signal, by its state in the form of `/proc/PID/status`.
fn ignores(state: &str, kind: SignalKind) -> bool {
    let mask = state.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // The lowest bit is that of signal 1.
    mask.is_some_and(|mask| mask >> (kind.as_raw_value() - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hangup_ends_a_process_unless_it_ignores_them() {
        let state = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ended = termination().unwrap();
        let own = std::process::id().to_string();
        let sent = std::process::Command::new("kill")
            .args(["-HUP", &own])
            .status();
        assert!(sent.unwrap().success());
        if !ignores(&state, SignalKind::hangup()) {
            ended.await;
        }
    }

    #[test]
    fn ignored_signals_are_in_the_state_of_the_process() {
        let state = |mask: &str| format!("Name:\tx\nSigBlk:\t0000000000000001\nSigIgn:\t{mask}\n");
        let hangup = |state: &str| ignores(state, SignalKind::hangup());
        assert!(hangup(&state("0000000000000001")) && hangup(&state("0000000000001001")));
        assert!(!hangup(&state("0000000000000000")) && !hangup(&state("0000000000001000")));
        assert!(!hangup("") && !hangup(&state("x")));
        assert!(ignores(&state("0000000000001000"), SignalKind::pipe()));
    }
}
