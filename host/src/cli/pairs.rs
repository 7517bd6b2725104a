//! Pairs of flags for one secret, of which the first has its text and the second its file. Each flag has a variable.
//!
//! A flag replaces the variables of the whole pair, because who types it means it. Two flags conflict, and so do two
//! variables.

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command as ClapCommand, Error};

use super::{Command, SendFlags};

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
        Command::Send(flags) => settle_send(parser, matches, flags),
        // The text of a secret for `stoker run` has no flag, and `crate::config` refuses two sources of one secret.
        _ => Ok(()),
    }
}

fn settle_send(
    parser: &mut ClapCommand,
    matches: &ArgMatches,
    flags: &mut SendFlags,
) -> Result<(), Error> {
    for (ids, flags, variables, text, file) in [
        (
            ["secret", "secret_file"],
            ["--secret", "--secret-file"],
            ["WEBHOOK_HMAC_SECRET", "WEBHOOK_HMAC_SECRET_FILE"],
            &mut flags.secret,
            &mut flags.secret_file,
        ),
        (
            ["token", "token_file"],
            ["--token", "--token-file"],
            ["WEBHOOK_BEARER_TOKEN", "WEBHOOK_BEARER_TOKEN_FILE"],
            &mut flags.token,
            &mut flags.token_file,
        ),
    ] {
        let from = |source| ids.map(|id| is_from(matches, id, source));
        match (
            from(ValueSource::CommandLine),
            from(ValueSource::EnvVariable),
        ) {
            ([true, true], _) => return Err(conflict(parser, "flags", flags)),
            ([true, false], _) => *file = None,
            ([false, true], _) => *text = None,
            (_, [true, true]) => return Err(conflict(parser, "variables", variables)),
            _ => {}
        }
    }
    Ok(())
}

fn is_from(matches: &ArgMatches, id: &str, source: ValueSource) -> bool {
    matches.value_source(id) == Some(source)
}

fn conflict(parser: &mut ClapCommand, what: &str, [text, file]: [&str; 2]) -> Error {
    let message = format!("the {what} {text} and {file} are both set: use one of them");
    parser.error(ErrorKind::ArgumentConflict, message)
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, FromArgMatches as _};

    use super::*;
    use crate::cli::Cli;

    /// A variable that every process of a test has.
    const PRESENT: &str = "PATH";

    /// Returns a command line in which only these arguments have a variable, which is set.
    fn parser(variables: &[&str]) -> ClapCommand {
        Cli::command().mut_subcommands(|command| {
            command.mut_args(|argument| {
                let is_set = variables.contains(&argument.get_id().as_str());
                argument.env(is_set.then_some(PRESENT))
            })
        })
    }

    /// Returns whether the text and the file of a pair are those of a flag or those of a variable.
    fn sent(
        flags: &[&str],
        variables: &[&str],
    ) -> Result<(Option<&'static str>, Option<&'static str>), String> {
        let start = ["stoker", "send", "http://h/webhook/a/b", "--ref=v1"];
        let mut parser = parser(variables);
        let matches = parser
            .clone()
            .try_get_matches_from(start.iter().chain(flags));
        let matches = matches.expect("arguments");
        let mut cli = Cli::from_arg_matches(&matches).expect("flags");
        settle(&mut parser, &matches, &mut cli.command).map_err(|error| error.to_string())?;
        let Command::Send(send) = cli.command else {
            panic!("another command");
        };
        let kind = |is_flag: bool| if is_flag { "flag" } else { "variable" };
        let text = send.secret.or(send.token);
        let file = send.secret_file.or(send.token_file);
        Ok((
            text.map(|text| kind(text == "flag")),
            file.map(|file| kind(file.as_os_str() == "flag")),
        ))
    }

    #[test]
    fn a_flag_replaces_the_variables_of_its_pair() {
        let chosen = |all: [(bool, &'static str); 2]| -> Vec<_> {
            let set = all.into_iter().filter(|(is_set, _)| *is_set);
            set.map(|(_, name)| name).collect()
        };
        for [text, file, text_id, file_id] in [
            [
                "--secret=flag",
                "--secret-file=flag",
                "secret",
                "secret_file",
            ],
            ["--token=flag", "--token-file=flag", "token", "token_file"],
        ] {
            for case in 0..16 {
                let [text_flag, file_flag, text_variable, file_variable] =
                    [1, 2, 4, 8].map(|bit| case & bit != 0);
                let expected = match (text_flag, file_flag, text_variable, file_variable) {
                    (true, true, ..) => Err("the flags --"),
                    (true, false, ..) => Ok((Some("flag"), None)),
                    (false, true, ..) => Ok((None, Some("flag"))),
                    (_, _, true, true) => Err("the variables WEBHOOK_"),
                    (_, _, text, file) => {
                        Ok((text.then_some("variable"), file.then_some("variable")))
                    }
                };
                let flags = chosen([(text_flag, text), (file_flag, file)]);
                let variables = chosen([(text_variable, text_id), (file_variable, file_id)]);
                match (sent(&flags, &variables), expected) {
                    (Ok(sent), Ok(expected)) => assert_eq!(sent, expected, "{case:04b}"),
                    (Err(error), Err(expected)) => {
                        assert!(error.contains(expected), "{case:04b}: {error}");
                    }
                    (sent, _) => panic!("{case:04b}: {sent:?}"),
                }
            }
        }
    }
}
