//! `stoker send`: sends a signed webhook.

mod example;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use stoker_http_client::http_client;

use self::example::{Announced, Example};
use super::text;
use crate::auth::{Scheme, bearer};
use crate::cli::{Provider, SendFlags};
use crate::secrets::SecretSource;

/// The maximum number of bytes of an answer that are printed. An answer of a receiver has some hundred bytes.
const ANSWER_BYTES: usize = 64 << 10;
/// The maximum size of a body in bytes. The webhooks of GitHub have at most 25 MiB ("Webhook events and payloads").
const BODY_BYTES: u64 = 64 << 20;
/// The ref of an example.
const DEFAULT_REF: &str = "v1.0.0";
/// The scheme of a body from a file.
const DEFAULT_SCHEME: &str = "github";

pub(super) async fn run(flags: SendFlags) -> Result<ExitCode> {
    let id = uuid::Uuid::new_v4().to_string();
    let webhook = webhook(&flags, &id)?;
    let request = http_client()?
        .post(&flags.url)
        .headers(headers(&flags, &webhook, &id)?)
        .body(webhook.body);
    let mut answer = request
        .send()
        .await
        .map_err(reqwest::Error::without_url)
        .with_context(|| format!("cannot send the webhook to {}", flags.url))?;
    let status = answer.status();
    text::print(&status.to_string())?;
    let mut body = Vec::new();
    while body.len() < ANSWER_BYTES
        && let Some(part) = answer
            .chunk()
            .await
            .map_err(reqwest::Error::without_url)
            .context("cannot read the rest of the answer")?
    {
        body.extend_from_slice(&part);
    }
    body.truncate(ANSWER_BYTES);
    text::print(&String::from_utf8_lossy(&body))?;
    let expected = &flags.expect;
    ensure!(
        expected.is_empty() || expected.contains(&status.as_u16()),
        "the status of the answer should have been {}",
        expected
            .iter()
            .map(u16::to_string)
            .collect::<Vec<_>>()
            .join(" or ")
    );
    if status.is_success() || !expected.is_empty() {
        Ok(ExitCode::SUCCESS)
    } else {
        Ok(ExitCode::FAILURE)
    }
}

/// Returns the webhook without its proof: the body of the flags, or the example of a sender.
fn webhook(flags: &SendFlags, id: &str) -> Result<Example> {
    if let Some(path) = &flags.body {
        return Ok(Example {
            scheme: DEFAULT_SCHEME,
            headers: Vec::new(),
            body: read(path)?,
        });
    }
    let announced = Announced {
        git_ref: flags.r#ref.as_deref().unwrap_or(DEFAULT_REF),
        repository: flags.repo.as_deref(),
        id,
        now: Timestamp::now(),
    };
    let provider = flags.provider.unwrap_or(Provider::Generic);
    Ok(provider.example(&announced))
}

/// Returns the scheme of the flags, or that of the sender.
fn scheme(flags: &SendFlags, webhook: &Example) -> Result<&'static Scheme> {
    let name = flags.scheme.as_deref().unwrap_or(webhook.scheme);
    Scheme::named(name).with_context(|| {
        let names: Vec<_> = Scheme::all().map(Scheme::name).collect();
        format!(
            "there is no scheme {name:?}; use one of {}",
            names.join(", ")
        )
    })
}

/// Returns the headers of the webhook: those of the sender, the headers of the flags, the token and the proof.
fn headers(flags: &SendFlags, webhook: &Example, id: &str) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in &webhook.headers {
        headers.insert(HeaderName::from_static(name), value.parse()?);
    }
    for header in &flags.headers {
        let (name, value) = parse_header(header)?;
        headers.insert(name, value);
    }
    let scheme = scheme(flags, webhook)?;
    if let Some(token) = source(flags.token.as_ref(), flags.token_file.as_ref()) {
        let token = token.read().context("the token cannot be used")?;
        let value = HeaderValue::try_from(bearer(&token));
        let mut value = value.context("the token is not a valid header value")?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    if let Some(secret) = source(flags.secret.as_ref(), flags.secret_file.as_ref()) {
        let secret = secret.read().context("the secret cannot be used")?;
        let proof = scheme.headers(&secret, &webhook.body, Timestamp::now(), id);
        for (name, value) in proof {
            let value = HeaderValue::try_from(value);
            let mut value = value.context("the secret is not a valid header value")?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    Ok(headers)
}

/// Returns the source of a secret: the text of a flag, or a file.
fn source(text: Option<&String>, file: Option<&PathBuf>) -> Option<SecretSource> {
    let text = text.cloned().map(SecretSource::Inline);
    text.or_else(|| file.cloned().map(SecretSource::File))
}

/// Reads a body from a file, or from standard input for `-`.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    let (source, name): (Box<dyn Read>, _) = if path == Path::new("-") {
        (Box::new(std::io::stdin()), "standard input".to_owned())
    } else {
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| format!("cannot read {name}"))?;
        (Box::new(file), name)
    };
    stoker_process::read_bounded(source, BODY_BYTES).with_context(|| format!("cannot read {name}"))
}

/// Parses a header in the form NAME=VALUE or, as in `curl`, "NAME: VALUE".
pub(super) fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue)> {
    let parts = text
        .split_once([':', '='])
        .context("a header must have the form NAME=VALUE or \"NAME: VALUE\"")?;
    let name: HeaderName = parts
        .0
        .trim()
        .parse()
        .with_context(|| format!("the header name {:?} is invalid", parts.0))?;
    let value = parts
        .1
        .trim()
        .parse()
        .with_context(|| format!("the value of the header {name} is invalid"))?;
    Ok((name, value))
}
