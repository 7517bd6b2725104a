//! The flags of the Go operator, in the spellings that the flags of Go programs may have.

use std::ffi::OsString;

/// The flags of the Go operator that `stoker run` has too.
const GO_FLAGS: [&str; 8] = [
    "health-probe-bind-address",
    "kubeconfig",
    "leader-elect",
    "metrics-bind-address",
    "webhook-cert-key",
    "webhook-cert-name",
    "webhook-cert-path",
    "webhook-receiver-port",
];

/// Returns the arguments of a process with two dashes before the flags of the Go operator, which takes one dash too.
pub(super) fn arguments(
    given: impl IntoIterator<Item = OsString>,
) -> impl Iterator<Item = OsString> {
    given.into_iter().map(|argument| {
        let flag = argument.to_str().and_then(|text| text.strip_prefix('-'));
        let name = flag.and_then(|flag| flag.split('=').next());
        if name.is_some_and(|name| GO_FLAGS.contains(&name)) {
            let mut long = OsString::from("-");
            long.push(argument);
            return long;
        }
        argument
    })
}

/// Reads a switch that is on unless it is `false`, as in the Go operator.
#[expect(clippy::unnecessary_wraps, reason = "the command line calls it")]
pub(super) fn is_not_false(text: &str) -> Result<bool, std::convert::Infallible> {
    Ok(text != "false")
}

/// Reads a switch in the spellings of Go.
pub(super) fn switch(text: &str) -> Result<bool, &'static str> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("it must be true or false"),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn flags_of_the_go_operator_may_have_one_dash() {
        let given = [
            "stoker",
            "run",
            "-webhook-receiver-port=9445",
            "-leader-elect",
            "--webhook-cert-name=a",
            "-kubeconfig",
            "-f",
        ];
        let expected = [
            "stoker",
            "run",
            "--webhook-receiver-port=9445",
            "--leader-elect",
            "--webhook-cert-name=a",
            "--kubeconfig",
            "-f",
        ];
        let found: Vec<_> = arguments(given.map(OsString::from)).collect();
        assert_eq!(found, expected);
        let command = Cli::command();
        let run = command.find_subcommand("run").expect("the command");
        for flag in GO_FLAGS {
            let has_flag = run
                .get_arguments()
                .any(|known| known.get_long() == Some(flag));
            assert!(has_flag, "{flag}");
        }
    }
}
