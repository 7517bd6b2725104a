//! `stoker send`: one signed webhook, as a sender would send it.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::text;
use crate::auth::{SIGNATURE_HEADER, sign};
use crate::cli::SendFlags;
use crate::git;

pub(super) async fn run(flags: SendFlags) -> Result<ExitCode> {
    let body = match (&flags.r#ref, &flags.body) {
        (Some(git_ref), _) => serde_json::to_vec(&serde_json::json!({ "ref": git_ref }))?,
        (None, Some(path)) => read(path)?,
        (None, None) => bail!("give --ref or --body"),
    };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for header in &flags.headers {
        let (name, value) = parse_header(header)?;
        headers.insert(name, value);
    }
    if let Some(secret) = &flags.secret {
        headers.insert(SIGNATURE_HEADER, sign(secret.as_bytes(), &body).parse()?);
    }
    let request = git::http_client()?
        .post(&flags.url)
        .headers(headers)
        .body(body);
    let answer = request
        .send()
        .await
        .map_err(reqwest::Error::without_url)
        .with_context(|| format!("cannot send the webhook to {}", flags.url))?;
    let status = answer.status();
    text::print(&format!("{status}\n{}", answer.text().await?))?;
    match flags.expect {
        Some(expected) if status == expected => Ok(ExitCode::SUCCESS),
        Some(expected) => bail!("the answer should have been {expected}"),
        None if status.is_success() => Ok(ExitCode::SUCCESS),
        None => Ok(ExitCode::FAILURE),
    }
}

/// A file, or standard input for `-`.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    if path == Path::new("-") {
        let mut body = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin(), &mut body)
            .context("cannot read standard input")?;
        return Ok(body);
    }
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// A header as NAME=VALUE, or as `curl` takes it: "NAME: VALUE".
pub(super) fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue)> {
    let parts = text
        .split_once([':', '='])
        .with_context(|| format!("{text:?} is no header: use NAME=VALUE"))?;
    let name = parts
        .0
        .trim()
        .parse()
        .with_context(|| format!("{:?} is not the name of a header", parts.0))?;
    let value = parts
        .1
        .trim()
        .parse()
        .with_context(|| format!("{:?} is not the value of a header", parts.1))?;
    Ok((name, value))
}
