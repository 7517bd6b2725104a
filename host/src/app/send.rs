//! `stoker send`: sends a signed webhook.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use stoker_http_client::http_client;

use super::text;
use crate::auth::{SIGNATURE_HEADER, bearer, sign};
use crate::cli::SendFlags;
use crate::secrets::SecretSource;

/// The maximum number of bytes of an answer that are printed. An answer of a receiver has some hundred bytes.
const ANSWER_BYTES: usize = 64 << 10;
/// The maximum size of a body in bytes. The webhooks of GitHub have at most 25 MiB ("Webhook events and payloads").
const BODY_BYTES: u64 = 64 << 20;

pub(super) async fn run(flags: SendFlags) -> Result<ExitCode> {
    let body = match (&flags.r#ref, &flags.body) {
        (Some(git_ref), _) => serde_json::to_vec(&serde_json::json!({ "ref": git_ref }))?,
        (None, Some(path)) => read(path)?,
        (None, None) => bail!("--ref or --body is required"),
    };
    let request = http_client()?
        .post(&flags.url)
        .headers(headers(&flags, &body)?)
        .body(body);
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
    match flags.expect {
        Some(expected) if status == expected => Ok(ExitCode::SUCCESS),
        Some(expected) => bail!("the status of the answer should have been {expected}"),
        None if status.is_success() => Ok(ExitCode::SUCCESS),
        None => Ok(ExitCode::FAILURE),
    }
}

/// Returns the headers of the webhook: the content type, the headers of the flags, the token and the signature.
fn headers(flags: &SendFlags, body: &[u8]) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for header in &flags.headers {
        let (name, value) = parse_header(header)?;
        headers.insert(name, value);
    }
    let file = |path: &Option<PathBuf>| path.clone().map(SecretSource::File);
    if let Some(token) = file(&flags.token_file) {
        let token = token.read().context("the token cannot be used")?;
        let value = HeaderValue::try_from(bearer(&token));
        let mut value = value.context("the token is not a valid header value")?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    let inline = flags.secret.clone().map(SecretSource::Inline);
    if let Some(secret) = inline.or_else(|| file(&flags.secret_file)) {
        let secret = secret.read().context("the secret cannot be used")?;
        headers.insert(SIGNATURE_HEADER, sign(secret.as_bytes(), body).parse()?);
    }
    Ok(headers)
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
    let mut body = Vec::new();
    source
        .take(BODY_BYTES + 1)
        .read_to_end(&mut body)
        .with_context(|| format!("cannot read {name}"))?;
    ensure!(
        body.len() as u64 <= BODY_BYTES,
        "{name} has more than {BODY_BYTES} bytes, the maximum size of a body"
    );
    Ok(body)
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
