//! Whether an answer is one of a git server, and what else it is.

use std::time::{Duration, SystemTime};

use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{Response, StatusCode};
use url::Url;

use super::{ADVERTISEMENT_TYPE, MAX_FINISH};
use crate::address::shown;
use crate::authorization::Authorization;
use crate::error::{GitError, SentCredentials, plain};

/// The maximum time that an answer can ask to wait.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// Returns an error if an answer is not from a git server. A login page also has a success status.
pub(super) async fn check(
    response: &mut Response,
    target: &Url,
    expected: &str,
    authorization: &Authorization,
) -> Result<(), GitError> {
    check_status(response, target, authorization.state())?;
    if let Some(encoding) = response.headers().get(CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        let encoding = plain(encoding.as_bytes());
        return Err(GitError::malformed(format!(
            "it has the encoding {encoding}, which was not asked for; disable the compression at the server or its proxy"
        )));
    }
    let content = response
        .headers()
        .get(CONTENT_TYPE)
        .map_or(&b""[..], |value| value.as_bytes());
    let essence = content
        .split(|&byte| byte == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii();
    // Git checks the type of the advertisement only, and some servers give answers no type or a general one.
    let is_expected = if expected == ADVERTISEMENT_TYPE {
        essence.eq_ignore_ascii_case(expected.as_bytes())
    } else {
        !essence.eq_ignore_ascii_case(b"text/html")
    };
    if is_expected {
        return Ok(());
    }
    let content = if essence.is_empty() {
        "no content type".to_owned()
    } else {
        plain(essence)
    };
    let url = shown(target);
    if expected == ADVERTISEMENT_TYPE && is_list_of_files(response).await {
        return Err(GitError::DumbProtocol { url });
    }
    Err(GitError::NotGit { url, content })
}

fn check_status(
    response: &Response,
    target: &Url,
    credentials: &SentCredentials,
) -> Result<(), GitError> {
    let status = response.status();
    let retry_after = retry_after(response, SystemTime::now());
    match status {
        // GitHub limits rates with the status 403 too.
        StatusCode::FORBIDDEN if retry_after.is_some() => Err(GitError::Status {
            status: status.as_u16(),
            retry_after,
        }),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Err(match unsupported_schemes(response) {
                Some(schemes) if status == StatusCode::UNAUTHORIZED => {
                    GitError::AuthenticationScheme { schemes }
                }
                _ => GitError::AccessDenied {
                    status: status.as_u16(),
                    credentials: credentials.clone(),
                },
            })
        }
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(GitError::RepositoryNotFound {
            url: shown(target),
            credentials: credentials.clone(),
        }),
        status if !status.is_success() => Err(GitError::Status {
            status: status.as_u16(),
            retry_after,
        }),
        _ => Ok(()),
    }
}

/// Returns the authentication schemes of an answer (RFC 9110, section 11.6.1), if Basic is not among them.
fn unsupported_schemes(response: &Response) -> Option<String> {
    let mut schemes = Vec::new();
    for value in response.headers().get_all(WWW_AUTHENTICATE) {
        for part in value.as_bytes().split(|&byte| byte == b',') {
            // The other parts are the parameters of a scheme.
            let word = part.trim_ascii().split(|&byte| byte == b' ').next()?;
            if !word.is_empty() && !word.contains(&b'=') && !word.contains(&b'"') {
                schemes.push(plain(word));
            }
        }
    }
    let is_basic = |scheme: &String| scheme.eq_ignore_ascii_case("Basic");
    (!schemes.is_empty() && !schemes.iter().any(is_basic))
        .then(|| plain(schemes.join(", ").as_bytes()))
}

/// Returns the time of `Retry-After` (RFC 9110, section 10.2.3), which is a number of seconds or a date.
fn retry_after(response: &Response, now: SystemTime) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    let time = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text)
            .ok()?
            .duration_since(now)
            .unwrap_or_default(),
    };
    Some(time.min(MAX_RETRY_AFTER))
}

/// Returns whether an answer begins like the list of refs of the dumb protocol (gitprotocol-http): the id of an object,
/// a tab, and the name of a ref.
async fn is_list_of_files(response: &mut Response) -> bool {
    let Ok(Ok(Some(chunk))) = tokio::time::timeout(MAX_FINISH, response.chunk()).await else {
        return false;
    };
    let end = chunk.iter().position(|&byte| byte == b'\t');
    let Some((id, name)) = end.and_then(|end| Some((chunk.get(..end)?, chunk.get(end + 1..)?)))
    else {
        return false;
    };
    matches!(id.len(), 40 | 64)
        && id.iter().all(u8::is_ascii_hexdigit)
        && name.starts_with(b"refs/")
}
