//! The exchange of a signed token for an installation token.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;
use stoker_api::Sensitive;
use stoker_report::excerpt;

use super::key::signed_token;
use super::{GitHubAppError, Installation, InstallationToken};

/// The media type of GitHub's API.
const MEDIA_TYPE: &str = "application/vnd.github+json";
/// The maximum size of an answer in bytes. One with a token has less than a thousand, and a list of permissions.
const ANSWER_BYTES: usize = 256 * 1024;
/// The longest wait that GitHub may ask for.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

#[derive(Deserialize)]
struct Issued {
    token: String,
    expires_at: Timestamp,
}

#[derive(Deserialize)]
struct Problem {
    message: String,
}

/// Makes one exchange.
pub(super) async fn exchange(
    client: &Client,
    installation: &Installation,
    now: Timestamp,
) -> Result<InstallationToken, GitHubAppError> {
    let url = tokens_url(installation)?;
    let (key, app_id) = (
        installation.private_key.expose().to_owned(),
        installation.app_id,
    );
    // Signing takes milliseconds, so it runs on a blocking thread.
    let signed = tokio::task::spawn_blocking(move || signed_token(&key, app_id, now)).await;
    let signed = signed.map_err(|_| GitHubAppError::Key {
        why: "it cannot sign".to_owned(),
    })??;
    let unreachable = |error: reqwest::Error| GitHubAppError::Unreachable {
        api_url: url.origin().ascii_serialization(),
        source: error.without_url(),
    };
    let mut bearer =
        HeaderValue::try_from(format!("Bearer {signed}")).map_err(|_| malformed(""))?;
    bearer.set_sensitive(true);
    let request = client
        .post(url.clone())
        .header(ACCEPT, MEDIA_TYPE)
        .header(AUTHORIZATION, bearer);
    let mut answer = request.send().await.map_err(unreachable)?;
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(unreachable)? {
        if body.len() + part.len() > ANSWER_BYTES {
            return Err(malformed("it is too large"));
        }
        body.extend_from_slice(&part);
    }
    if answer.status() != StatusCode::CREATED {
        return Err(refusal(installation, &answer, &body));
    }
    let issued: Issued = serde_json::from_slice(&body)
        .map_err(|_| malformed("token or expires_at is missing or invalid"))?;
    let token = issued.token.trim();
    if token.is_empty() || token.contains(|c: char| c.is_control()) {
        return Err(malformed("the token is invalid"));
    }
    Ok(InstallationToken {
        token: Sensitive::new(token),
        expires_at: issued.expires_at,
    })
}

fn tokens_url(installation: &Installation) -> Result<Url, GitHubAppError> {
    let base = installation.api_url.trim_end_matches('/');
    let id = installation.installation_id;
    let invalid = |why| GitHubAppError::ApiUrl { why };
    let url = Url::parse(&format!("{base}/app/installations/{id}/access_tokens"))
        .map_err(|_| invalid("it is not a URL such as https://github.example/api/v3"))?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(invalid("its scheme must be https or http"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("it must not contain a user name or a password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("it must not contain a query or a fragment"));
    }
    Ok(url)
}

fn refusal(installation: &Installation, answer: &Response, body: &[u8]) -> GitHubAppError {
    let message = match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => excerpt(&problem.message),
        Err(_) => "without a message of GitHub".to_owned(),
    };
    let Installation {
        app_id,
        installation_id,
        ..
    } = *installation;
    match answer.status() {
        StatusCode::UNAUTHORIZED => GitHubAppError::Unauthorized { app_id, message },
        StatusCode::NOT_FOUND => GitHubAppError::NoInstallation {
            app_id,
            installation_id,
            message,
        },
        status if status.is_success() || status.is_redirection() => {
            malformed(&format!("its status is {}, not 201", status.as_u16()))
        }
        status => GitHubAppError::Refused {
            app_id,
            status: status.as_u16(),
            message,
            retry_after: retry_after(answer),
        },
    }
}

fn retry_after(answer: &Response) -> Option<Duration> {
    let seconds = answer.headers().get(RETRY_AFTER)?.to_str().ok()?;
    let wait = Duration::from_secs(seconds.trim().parse().ok()?);
    Some(wait.min(LONGEST_WAIT))
}

fn malformed(why: &str) -> GitHubAppError {
    GitHubAppError::Malformed {
        why: why.to_owned(),
    }
}
