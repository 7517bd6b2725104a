//! The flags of the Go operator, in the spellings that the flags of Go programs may have.

use std::ffi::OsString;

use clap::builder::OsStringValueParser;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

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

/// A flag of the Go operator that has no effect. It is accepted, so that a Deployment for the Go operator starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IgnoredFlag {
    /// Its name, without dashes.
    pub name: &'static str,
    /// What takes its place. Completes the sentence: "the flag has no effect: …".
    pub instead: &'static str,
    /// Whether it may have no value. Another flag may have its value in the next argument.
    is_switch: bool,
}

const PLAIN_METRICS: &str =
    "metrics are plain HTTP; the value networkPolicy of the chart restricts who can read them";

/// The flags that have no effect: those of the Go operator, and those of the logger of controller-runtime.
const IGNORED: [IgnoredFlag; 10] = [
    switch_flag("metrics-secure", PLAIN_METRICS),
    value_flag("metrics-cert-path", PLAIN_METRICS),
    value_flag("metrics-cert-name", PLAIN_METRICS),
    value_flag("metrics-cert-key", PLAIN_METRICS),
    switch_flag("enable-http2", "HTTP/2 is always available"),
    switch_flag(
        "zap-devel",
        "use --log-format for the format of the log, and --log for its level",
    ),
    value_flag("zap-encoder", "use --log-format"),
    value_flag("zap-log-level", "use --log"),
    value_flag(
        "zap-stacktrace-level",
        "errors are logged with their causes, and without stack traces",
    ),
    value_flag("zap-time-encoding", "times in the log are RFC 3339"),
];

const fn switch_flag(name: &'static str, instead: &'static str) -> IgnoredFlag {
    IgnoredFlag {
        name,
        instead,
        is_switch: true,
    }
}

const fn value_flag(name: &'static str, instead: &'static str) -> IgnoredFlag {
    IgnoredFlag {
        name,
        instead,
        is_switch: false,
    }
}

/// The flags without effect that were given.
#[derive(Debug, Clone, Default)]
pub struct IgnoredFlags(Vec<IgnoredFlag>);

impl IgnoredFlags {
    /// Logs a warning for each flag.
    pub fn warn(&self) {
        for IgnoredFlag { name, instead, .. } in &self.0 {
            tracing::warn!("the flag --{name} of the Go operator has no effect: {instead}");
        }
    }
}

impl Args for IgnoredFlags {
    fn augment_args(command: Command) -> Command {
        command.args(IGNORED.map(|flag| {
            let argument = Arg::new(flag.name)
                .long(flag.name)
                .hide(true)
                .action(ArgAction::Set)
                .value_parser(OsStringValueParser::new());
            if flag.is_switch {
                let argument = argument.num_args(0..=1).require_equals(true);
                argument.default_missing_value("true")
            } else {
                argument.allow_hyphen_values(true)
            }
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for IgnoredFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let is_given = |flag: &IgnoredFlag| matches.contains_id(flag.name);
        Ok(Self(IGNORED.into_iter().filter(is_given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Returns the arguments of a process with two dashes before the flags of the Go operator, which takes one dash too.
pub(super) fn arguments(
    given: impl IntoIterator<Item = OsString>,
) -> impl Iterator<Item = OsString> {
    given.into_iter().map(|argument| {
        let flag = argument.to_str().and_then(|text| text.strip_prefix('-'));
        let name = flag.and_then(|flag| flag.split('=').next());
        let is_ignored = |name| IGNORED.iter().any(|flag| flag.name == name);
        if name.is_some_and(|name| GO_FLAGS.contains(&name) || is_ignored(name)) {
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
    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::cli;
    use crate::cli::Cli;

    fn ignored(given: &[&str]) -> Vec<&'static str> {
        let given = ["stoker", "run"].iter().chain(given).map(OsString::from);
        let cli = Cli::try_parse_from(arguments(given)).unwrap();
        let cli::Command::Run(flags) = cli.command else {
            panic!("another command");
        };
        flags.ignored.0.iter().map(|flag| flag.name).collect()
    }

    #[test]
    fn flags_of_the_go_operator_without_effect_are_accepted_and_known() {
        for flag in IGNORED {
            let IgnoredFlag {
                name, is_switch, ..
            } = flag;
            for dashes in ["-", "--"] {
                let with_value = format!("{dashes}{name}=x");
                let without = format!("{dashes}{name}=");
                let alone = format!("{dashes}{name}");
                let separate = [alone.as_str(), "-1"];
                let separate = if is_switch { &separate[..1] } else { &separate };
                for given in [&[&*with_value], &[&*without], separate] {
                    assert_eq!(ignored(given), [name], "{given:?}");
                    let repeated = [given, &["--leader-elect"], given].concat();
                    assert_eq!(ignored(&repeated), [name], "{given:?}");
                }
            }
        }
        assert_eq!(ignored(&["--leader-elect"]), [""; 0]);
        let deployment = [
            "--metrics-bind-address=:8443",
            "--metrics-secure=false",
            "-zap-encoder",
            "json",
            "--zap-devel",
            "--leader-elect",
            "-enable-http2=false",
        ];
        let expected = ["metrics-secure", "enable-http2", "zap-devel", "zap-encoder"];
        assert_eq!(ignored(&deployment), expected);
    }

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
