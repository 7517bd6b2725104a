//! The arguments and the variables of a process.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Command, CommandFactory as _, FromArgMatches as _};

use super::go_flags::arguments;
use super::{Cli, pairs};

/// The variables that name a secret. An empty one is an error, so that it does not switch the authentication off.
const OF_SECRETS: [&str; 4] = [
    "WEBHOOK_BEARER_TOKEN_FILE",
    "WEBHOOK_HMAC_SECRET",
    "WEBHOOK_HMAC_SECRET_FILE",
    "WEBHOOK_SECRET_NAME",
];

/// Parses the arguments and the variables of this process. Ends the process if they are invalid.
#[must_use]
pub fn parse() -> Cli {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    let mut command = without_empty_variables(Cli::command(), &is_empty);
    let matches = command
        .clone()
        .get_matches_from(arguments(std::env::args_os()));
    // The sources of the values are looked up afterwards, so the matches are not taken apart.
    let parsed = Cli::from_arg_matches(&matches).and_then(|mut cli| {
        pairs::settle(&mut command, &matches, &mut cli.command)?;
        Ok(cli)
    });
    match parsed {
        Ok(cli) => cli,
        Err(error) => error.format(&mut command).exit(),
    }
}

/// Returns the command without its empty variables, which are absent. Manifests set a variable to the empty text where
/// a value is optional.
fn without_empty_variables(command: Command, is_empty: &dyn Fn(&OsStr) -> bool) -> Command {
    let command = command.mut_args(|argument| match argument.get_env() {
        Some(name) if is_empty(name) && !OF_SECRETS.iter().any(|of_secret| name == *of_secret) => {
            argument.env(None::<&'static str>)
        }
        _ => argument,
    });
    command.mut_subcommands(|subcommand| without_empty_variables(subcommand, is_empty))
}

/// Returns the parser of the name of a file with a secret, which the variable may have too.
pub(super) fn secret_file(variable: &'static str) -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().try_map(move |name| {
        if name.is_empty() {
            return Err(format!(
                "neither the flag nor the variable {variable} may be empty"
            ));
        }
        Ok(PathBuf::from(name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(command: &Command) -> Vec<String> {
        let own = command.get_arguments().filter_map(clap::Arg::get_env);
        let own = own.map(|name| name.to_str().expect("a name").to_owned());
        let others = command.get_subcommands().flat_map(variables);
        own.chain(others).collect()
    }

    #[test]
    fn empty_variables_are_absent_except_those_of_secrets() {
        let all = variables(&Cli::command());
        let left = |is_empty| variables(&without_empty_variables(Cli::command(), is_empty));
        assert_eq!(left(&|_| false), all);
        assert!(all.iter().any(|name| name == "STOKER_LOG_FORMAT"));
        for name in left(&|_| true) {
            assert!(OF_SECRETS.contains(&name.as_str()), "{name}");
        }
        for name in OF_SECRETS {
            assert!(left(&|_| true).iter().any(|left| left == name), "{name}");
        }
    }

    #[test]
    fn an_empty_name_of_a_file_with_a_secret_is_an_error() {
        let arguments = ["stoker", "run", "--webhook-hmac-secret-file="];
        let error = Cli::command().try_get_matches_from(arguments).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("WEBHOOK_HMAC_SECRET_FILE"), "{error}");
    }
}
