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

    #[test]
    fn a_flag_of_the_host_replaces_the_text_in_a_variable() {
        let run = |flags: &[&str], variables: &[&str]| {
            let mut parser = parser(variables);
            let all = ["stoker", "run"].iter().chain(flags);
            let matches = parser.clone().try_get_matches_from(all).expect("arguments");
            let mut cli = Cli::from_arg_matches(&matches).expect("flags");
            if let Command::Run(flags) = &mut cli.command {
                flags.webhook_hmac_secret = Some("s".into());
                flags.webhook_hmac_secret_previous = Some("p".into());
                flags.webhook_bearer_token = Some("t".into());
                flags.webhook_bearer_token_previous = Some("p".into());
            }
            settle(&mut parser, &matches, &mut cli.command).expect("no conflict");
            let Command::Run(flags) = cli.command else {
                panic!("another command");
            };
            let hmac = flags
                .webhook_hmac_secret
                .or(flags.webhook_hmac_secret_previous);
            let bearer = flags
                .webhook_bearer_token
                .or(flags.webhook_bearer_token_previous);
            [hmac.is_some(), bearer.is_some()]
        };
        let (hmac, bearer) = ("webhook_hmac_secret_file", "webhook_bearer_token_file");
        assert_eq!(run(&[], &[]), [true, true]);
        // Two variables stay, and conflict later.
        assert_eq!(run(&[], &[hmac, bearer]), [true, true]);
        assert_eq!(run(&["--webhook-hmac-secret-file=f"], &[]), [false, true]);
        let flag = ["--webhook-bearer-token-file=f"];
        assert_eq!(run(&flag, &[hmac]), [true, false]);
    }
}
