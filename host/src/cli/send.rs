//! The flags of `stoker send`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};

use super::environment::secret_file;
use crate::auth::Scheme;

/// The flags of `stoker send`.
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("content").args(["ref", "provider", "body"]).required(true).multiple(true))]
pub struct SendFlags {
    /// URL of the receiver: http(s)://HOST/webhook/NAMESPACE/NAME.
    #[arg(value_parser = url)]
    pub url: String,
    /// Secret of the webhook. Without it, the webhook is not signed. A flag replaces the variables of the secret and of
    /// its file.
    #[arg(long, env = "WEBHOOK_HMAC_SECRET", hide_env_values = true)]
    pub secret: Option<String>,
    /// File with the secret. One line break at the end is ignored, as by the receiver.
    #[arg(
        long,
        env = "WEBHOOK_HMAC_SECRET_FILE",
        value_name = "FILE",
        value_parser = secret_file("WEBHOOK_HMAC_SECRET_FILE")
    )]
    pub secret_file: Option<PathBuf>,
    /// Bearer token for the `Authorization` header. A flag replaces the variables of the token and of its file.
    #[arg(long, env = "WEBHOOK_BEARER_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// File with the bearer token.
    #[arg(
        long,
        env = "WEBHOOK_BEARER_TOKEN_FILE",
        value_name = "FILE",
        value_parser = secret_file("WEBHOOK_BEARER_TOKEN_FILE")
    )]
    pub token_file: Option<PathBuf>,
    /// Sender whose webhook is sent, with its headers and its scheme [default: generic]. One of --ref, --provider and
    /// --body is required.
    #[arg(long, value_enum, value_name = "NAME", conflicts_with = "body")]
    pub provider: Option<Provider>,
    /// Scheme in which the secret is used.
    #[arg(long, value_name = "SCHEME", help = scheme_help())]
    pub scheme: Option<String>,
    /// Ref to announce, unless --body has it. A provider that sends full names only sends a name without `refs/` as that
    /// of a tag [default with --provider: v1.0.0].
    #[arg(long)]
    pub r#ref: Option<String>,
    /// Name or URL of the repository to announce. A registry sends it as the name of the image. CodeCommit sends only
    /// the last part, and always names a repository [default: none].
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with = "body",
        required_if_eq("provider", "codecommit")
    )]
    pub repo: Option<String>,
    /// File with the body, which is sent unchanged. `-` reads standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "ref")]
    pub body: Option<PathBuf>,
    /// Header to send, as NAME=VALUE or "NAME: VALUE". Can be repeated.
    #[arg(long = "header", visible_alias = "headers", value_name = "NAME=VALUE")]
    pub headers: Vec<String>,
    /// Expected statuses of the answer, separated by commas. With another status the exit code is 1 [default: any of 200
    /// to 299].
    #[arg(
        long,
        value_name = "STATUS",
        value_delimiter = ',',
        value_parser = clap::value_parser!(u16).range(100..=599)
    )]
    pub expect: Vec<u16>,
}

/// Returns the help of `--scheme`, with the names of all schemes.
fn scheme_help() -> String {
    let names: Vec<_> = Scheme::all().map(Scheme::name).collect();
    format!(
        "Scheme in which the secret is used, one of {} [default: the one of the provider]",
        names.join(", ")
    )
}

fn url(text: &str) -> Result<String, &'static str> {
    let scheme = text
        .split_once("://")
        .map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("http" | "https") => Ok(text.to_owned()),
        _ => Err("a URL begins with http:// or https://"),
    }
}

/// The senders of which `stoker send` has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Provider {
    /// A body with a `ref`.
    Generic,
    /// A push of GitHub.
    Github,
    /// A push of GitHub as a form, which is GitHub's default content type.
    GithubForm,
    /// A push of Gitea.
    Gitea,
    /// A push of Forgejo.
    Forgejo,
    /// A push of Gogs.
    Gogs,
    /// A push of GitLab, with a secret token.
    Gitlab,
    /// A push of GitLab, with a signing token.
    GitlabSigned,
    /// A push of Bitbucket Cloud.
    Bitbucket,
    /// A push of Bitbucket Data Center.
    BitbucketDc,
    /// A push of Azure DevOps.
    AzureDevops,
    /// A notification of Argo CD.
    Argocd,
    /// A promotion of Kargo.
    Kargo,
    /// An image that was pushed to Harbor.
    Harbor,
    /// An image that was pushed to Docker Hub.
    DockerHub,
    /// An image that was pushed to Quay.
    Quay,
    /// A CloudEvent in structured mode.
    Cloudevents,
    /// A body with a `ref`, signed as Standard Webhooks define it.
    StandardWebhooks,
    /// A body with a `ref` in a notification of Amazon SNS.
    Sns,
    /// A change in AWS CodeCommit, as Amazon EventBridge sends it.
    Codecommit,
}
