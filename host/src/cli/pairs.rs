//! Pairs of flags for one secret, of which the first has its text and the second its file. Each flag has a variable.
//!
//! A flag replaces the variables of the whole pair, because who types it means it. Two flags conflict, and so do two
//! variables.

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command as ClapCommand, Error};

use super::{Command, RunFlags, SendFlags};

/// Removes the values of variables that flags replace.
///
/// # Errors
///
/// Fails if both members of a pair are flags, or both are variables.
pub(super) fn settle(
    parser: &mut ClapCommand,
    matches: &ArgMatches,
    command: &mut Command,
) -> Result<(), Error> {
    let Some((_, matches)) = matches.subcommand() else {
        return Ok(());
    };
    match command {
        Command::Run(flags) => settle_run(matches, flags),
        Command::Send(flags) => settle_send(parser, matches, flags)?,
        _ => {}
    }
    Ok(())
}

/// The text of a secret for `stoker run` has no flag. [`crate::config`] checks that there are not two variables.
fn settle_run(matches: &ArgMatches, flags: &mut RunFlags) {
    let is_flag = |id: &str| is_from(matches, id, ValueSource::CommandLine);
    if is_flag("webhook_hmac_secret_file") {
        flags.webhook_hmac_secret = None;
        flags.webhook_hmac_secret_previous = None;
    }
    if is_flag("webhook_bearer_token_file") {
        flags.webhook_bearer_token = None;
        flags.webhook_bearer_token_previous = None;
    }
}

fn settle_send(
    parser: &mut ClapCommand,
    matches: &ArgMatches,
    flags: &mut SendFlags,
) -> Result<(), Error> {
    for (ids, text, file) in [
        (
            ["secret", "secret_file"],
            &mut flags.secret,
            &mut flags.secret_file,
        ),
        (
            ["token", "token_file"],
            &mut flags.token,
            &mut flags.token_file,
        ),
    ] {
        let from = |source| ids.map(|id| is_from(matches, id, source));
        match (
            from(ValueSource::CommandLine),
            from(ValueSource::EnvVariable),
        ) {
            ([true, true], _) => return Err(conflict(parser, ids, "the flags")),
            ([true, false], _) => *file = None,
            ([false, true], _) => *text = None,
            (_, [true, true]) => return Err(conflict(parser, ids, "the variables of the flags")),
            _ => {}
        }
    }
    Ok(())
}

fn is_from(matches: &ArgMatches, id: &str, source: ValueSource) -> bool {
    matches.value_source(id) == Some(source)
}

fn conflict(parser: &mut ClapCommand, ids: [&str; 2], what: &str) -> Error {
    let [text, file] = ids.map(|id| format!("--{}", id.replace('_', "-")));
    let message = format!("{what} {text} and {file} are both set: use one of them");
    parser.error(ErrorKind::ArgumentConflict, message)
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, FromArgMatches as _};

    use super::*;
    use crate::cli::Cli;

    /// A variable that every process of a test has.
    const PRESENT: &str = "PATH";

    /// Parses a command with these flags. The arguments in `variables` have a variable that is set, and the others none.
    fn parse(flags: &[&str], variables: &[&str]) -> Result<Command, String> {
        let mut parser = Cli::command().mut_subcommands(|command| {
            command.mut_args(|argument| {
                let is_set = variables.contains(&argument.get_id().as_str());
                argument.env(is_set.then_some(PRESENT))
            })
        });
        let matches = parser.clone().try_get_matches_from(flags);
        let matches = matches.map_err(|error| error.to_string())?;
        let mut cli = Cli::from_arg_matches(&matches).map_err(|error| error.to_string())?;
        settle(&mut parser, &matches, &mut cli.command).map_err(|error| error.to_string())?;
        Ok(cli.command)
    }

    #[test]
    fn a_flag_replaces_the_variables_of_its_pair() {
        for (pair, flags) in [
            (
                ["secret", "secret_file"],
                ["--secret=flag", "--secret-file=flag"],
            ),
            (
                ["token", "token_file"],
                ["--token=flag", "--token-file=flag"],
            ),
        ] {
            for case in 0..16 {
                let [text_flag, file_flag, text_var, file_var] =
                    [1, 2, 4, 8].map(|bit| case & bit != 0);
                let chosen = [(text_flag, flags[0]), (file_flag, flags[1])];
                let chosen = chosen.into_iter().filter(|(is_set, _)| *is_set);
                let start = ["stoker", "send", "http://h/webhook/a/b", "--ref=v1"];
                let all: Vec<_> = start
                    .into_iter()
                    .chain(chosen.map(|(_, flag)| flag))
                    .collect();
                let chosen = [(text_var, pair[0]), (file_var, pair[1])];
                let chosen = chosen.into_iter().filter(|(is_set, _)| *is_set);
                let variables: Vec<_> = chosen.map(|(_, id)| id).collect();
                let parsed = parse(&all, &variables).map(|command| {
                    let Command::Send(send) = command else {
                        panic!("{command:?}");
                    };
                    let (text, file) = match pair[0] {
                        "secret" => (send.secret, send.secret_file),
                        _ => (send.token, send.token_file),
                    };
                    // A value is that of the flag, or that of the variable.
                    let kind = |is_flag: bool| if is_flag { "flag" } else { "variable" };
                    let text = text.map(|text| kind(text == "flag"));
                    (text, file.map(|file| kind(file.as_os_str() == "flag")))
                });
                let expected = match (text_flag, file_flag, text_var, file_var) {
                    (true, true, ..) => Err("the flags"),
                    (true, false, ..) => Ok((Some("flag"), None)),
                    (false, true, ..) => Ok((None, Some("flag"))),
                    (_, _, true, true) => Err("the variables"),
                    (_, _, text, file) => {
                        Ok((text.then_some("variable"), file.then_some("variable")))
                    }
                };
                match (parsed, expected) {
                    (Ok(parsed), Ok(expected)) => assert_eq!(parsed, expected, "{case:04b}"),
                    (Err(error), Err(expected)) => assert!(
                        error.contains(expected)
                            && error.contains(flags[1].trim_end_matches("=flag")),
                        "{case:04b}: {error}"
                    ),
                    (parsed, _) => panic!("{case:04b}: {parsed:?}"),
                }
            }
        }
    }

    #[test]
    fn a_flag_of_the_host_replaces_the_text_in_a_variable() {
        let run = |flags: &[&str], variables: &[&str]| {
            let all: Vec<_> = ["stoker", "run"].iter().chain(flags).copied().collect();
            let mut parser = Cli::command().mut_subcommands(|command| {
                command.mut_args(|argument| {
                    let is_set = variables.contains(&argument.get_id().as_str());
                    argument.env(is_set.then_some(PRESENT))
                })
            });
            let matches = parser.clone().try_get_matches_from(all).expect("arguments");
            let mut cli = Cli::from_arg_matches(&matches).expect("flags");
            let Command::Run(flags) = &mut cli.command else {
                panic!("{:?}", cli.command);
            };
            flags.webhook_hmac_secret = Some("s".into());
            flags.webhook_hmac_secret_previous = Some("p".into());
            flags.webhook_bearer_token = Some("t".into());
            flags.webhook_bearer_token_previous = Some("p".into());
            settle(&mut parser, &matches, &mut cli.command).expect("no conflict");
            let Command::Run(flags) = cli.command else {
                panic!("another command");
            };
            [
                flags.webhook_hmac_secret.is_some() && flags.webhook_hmac_secret_previous.is_some(),
                flags.webhook_bearer_token.is_some()
                    && flags.webhook_bearer_token_previous.is_some(),
            ]
        };
        let (hmac, bearer) = ("webhook_hmac_secret_file", "webhook_bearer_token_file");
        assert_eq!(run(&[], &[]), [true, true]);
        // Two variables stay, and conflict later.
        assert_eq!(run(&[], &[hmac, bearer]), [true, true]);
        assert_eq!(run(&["--webhook-hmac-secret-file=f"], &[]), [false, true]);
        assert_eq!(
            run(&["--webhook-bearer-token-file=f"], &[hmac]),
            [true, false]
        );
    }
}
