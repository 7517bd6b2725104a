//! Sends webhooks to the host of a test.

use anyhow::{Result, ensure};
use serde_json::Value;
use stoker::auth::{SIGNATURE_HEADER, sign};

use super::{SECRET, TestCluster};

/// An answer to a webhook.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The JSON body.
    pub body: Value,
}

impl TestCluster {
    /// Sends a signed webhook for the object.
    pub async fn send(&self, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
        let signature = sign(SECRET.as_bytes(), body);
        let headers = [
            headers,
            &[
                ("content-type", "application/json"),
                (SIGNATURE_HEADER, &signature),
            ],
        ]
        .concat();
        self.post(&self.url()?, &headers, body).await
    }

    /// Sends a signed webhook with this JSON body.
    pub async fn send_json(&self, body: &Value) -> Result<Answer> {
        self.send(&[], &serde_json::to_vec(body)?).await
    }

    /// Sends a request with exactly these headers and this body.
    pub async fn post(&self, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
        let mut request = self.http.post(url).body(body.to_vec());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let is_json = headers
            .get("content-type")
            .is_some_and(|value| value == "application/json");
        ensure!(
            is_json,
            "status {status} has no JSON body: {:?}",
            answer.text().await
        );
        Ok(Answer {
            status,
            headers,
            body: serde_json::from_slice(&answer.bytes().await?)?,
        })
    }
}
