//! Whether an answer is one of a git server, and what else it is.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{Response, StatusCode};
use url::Url;

use super::{ADVERTISEMENT_TYPE, MAX_FINISH};
use crate::address::shown;
use crate::authorization::Authorization;
use crate::error::{GitError, SentCredentials, plain};

/// The size of the first line of an answer, in bytes. An error shows its first 200 characters.
const MAX_LINE: usize = 4096;
/// The value in the query of each advertisement.
const SERVICE: &str = "git-upload-pack";
/// The maximum time that an answer can ask to wait.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// Returns an error if an answer is not from a git server. A login page also has a success status.
pub(super) async fn check(
    response: &mut Response,
    target: &Url,
    expected: &str,
    authorization: &Authorization,
) -> Result<(), GitError> {
    if let Err(mut error) = check_status(response, target, authorization.state()) {
        if let GitError::Status { text, .. } = &mut error {
            *text = first_line(response, target, authorization).await;
        }
        return Err(error);
    }
    if let Some(encoding) = response.headers().get(CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        let encoding = plain(encoding.as_bytes());
        return Err(GitError::malformed(format!(
            "it has the encoding {encoding}, which was not asked for; disable the compression at the server or its proxy"
        )));
    }
    let essence = media_type(response);
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

/// Returns the media type of an answer, without its parameters.
fn media_type(response: &Response) -> &[u8] {
    let content = response
        .headers()
        .get(CONTENT_TYPE)
        .map_or(&b""[..], |value| value.as_bytes());
    let essence = content.split(|&byte| byte == b';').next();
    essence.unwrap_or_default().trim_ascii()
}

/// Returns the beginning of the first line of an answer, which says why the server refuses a request, or an empty text
/// if the answer is no plain text, if the line is too long, or if it repeats credentials.
async fn first_line(
    response: &mut Response,
    target: &Url,
    authorization: &Authorization,
) -> String {
    if !media_type(response).eq_ignore_ascii_case(b"text/plain") {
        return String::new();
    }
    let mut body = Vec::new();
    let line = async {
        loop {
            let start = body.len() - body.trim_ascii_start().len();
            let end = body[start..].iter().position(|&byte| byte == b'\n');
            match end {
                Some(end) => return Some(body[start..start + end].to_vec()),
                None if body.len() > MAX_LINE => return None,
                None => {}
            }
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Some(body[start..].to_vec()),
                Err(_) => return None,
            }
        }
    };
    match tokio::time::timeout(MAX_FINISH, line).await {
        Ok(Some(line)) if !repeats_credentials(&line, target, authorization) => plain(&line),
        _ => String::new(),
    }
}

/// Returns whether a text contains what was sent as credentials, in the header or in the query of the address.
fn repeats_credentials(text: &[u8], target: &Url, authorization: &Authorization) -> bool {
    let text = String::from_utf8_lossy(text);
    let query = target.query().unwrap_or_default().split('&');
    let raw = query.filter_map(|pair| Some(pair.split_once('=')?.1));
    let decoded = target.query_pairs().map(|(_, value)| value);
    raw.map(Cow::Borrowed)
        .chain(decoded)
        .filter(|value| !value.is_empty() && *value != SERVICE)
        .any(|value| text.contains(&*value))
        || authorization.is_in(&text)
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
            text: String::new(),
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
            text: String::new(),
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
