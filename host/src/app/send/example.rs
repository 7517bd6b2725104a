//! An example of what each sender sends: its headers, a minimal body, and its usual scheme.
//!
//! The bodies have no commit id, because an invented one would be wrong.

use jiff::Timestamp;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::cli::Provider;

/// A webhook without its proof.
#[derive(Debug)]
pub(super) struct Example {
    /// The name of the scheme in which this sender proves who it is.
    pub(super) scheme: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

/// What an example announces.
#[derive(Debug)]
pub(super) struct Announced<'a> {
    /// The ref, bare or full.
    pub(super) git_ref: &'a str,
    /// The name or URL of the repository, if it is announced.
    pub(super) repository: Option<&'a str>,
    /// The id of the delivery.
    pub(super) id: &'a str,
    pub(super) now: Timestamp,
}

/// The name of an image, if `--repo` does not give one.
const IMAGE: &str = "example/app";
/// The topic of the examples of Amazon, in the region and account that their documentation uses.
const TOPIC: &str = "arn:aws:sns:us-east-1:111122223333:stoker";

impl Announced<'_> {
    /// Returns the full name of the ref.
    fn full(&self) -> String {
        if self.git_ref.starts_with("refs/") {
            self.git_ref.to_owned()
        } else {
            format!("refs/tags/{}", self.git_ref)
        }
    }

    /// Returns the kind of the ref, and its name without the prefix.
    fn kind_and_name(&self) -> (&'static str, &str) {
        if let Some(name) = self.git_ref.strip_prefix("refs/heads/") {
            return ("branch", name);
        }
        let tag = self.git_ref.strip_prefix("refs/tags/");
        ("tag", tag.unwrap_or(self.git_ref))
    }

    /// Returns the image, and the tag of the image.
    fn image_and_tag(&self) -> (&str, &str) {
        (self.repository.unwrap_or(IMAGE), self.kind_and_name().1)
    }

    fn id(&self) -> String {
        self.id.to_owned()
    }
}

impl Provider {
    /// Returns the example of this sender.
    pub(super) fn example(self, announced: &Announced<'_>) -> Example {
        let id = || announced.id();
        let json = |scheme, headers: Vec<(&'static str, String)>, body: &Value| Example {
            scheme,
            headers,
            body: body.to_string().into_bytes(),
        };
        let event = |name: &'static str, event: &str, delivery: &'static str| {
            vec![(name, event.to_owned()), (delivery, id())]
        };
        let push = || push(announced);
        match self {
            Self::Generic => json("github", Vec::new(), &generic(announced)),
            Self::StandardWebhooks => json("standard-webhooks", Vec::new(), &generic(announced)),
            Self::Github => {
                let headers = event("x-github-event", "push", "x-github-delivery");
                json("github", headers, &push())
            }
            Self::GithubForm => {
                let mut headers = event("x-github-event", "push", "x-github-delivery");
                let form = "application/x-www-form-urlencoded";
                headers.push(("content-type", form.to_owned()));
                let mut body = form_urlencoded::Serializer::new(String::new());
                body.append_pair("payload", &push().to_string());
                Example {
                    scheme: "github",
                    headers,
                    body: body.finish().into_bytes(),
                }
            }
            Self::Gitea => {
                let headers = event("x-gitea-event", "push", "x-gitea-delivery");
                json("gitea", headers, &push())
            }
            Self::Forgejo => {
                let headers = event("x-forgejo-event", "push", "x-forgejo-delivery");
                json("forgejo", headers, &push())
            }
            Self::Gogs => {
                let headers = event("x-gogs-event", "push", "x-gogs-delivery");
                json("gogs", headers, &push())
            }
            Self::Gitlab | Self::GitlabSigned => {
                let is_branch = announced.kind_and_name().0 == "branch";
                let name = if is_branch {
                    "Push Hook"
                } else {
                    "Tag Push Hook"
                };
                let headers = event("x-gitlab-event", name, "idempotency-key");
                let scheme = match self {
                    Self::Gitlab => "gitlab",
                    _ => "standard-webhooks",
                };
                json(scheme, headers, &gitlab(announced))
            }
            Self::Bitbucket => {
                let headers = event("x-event-key", "repo:push", "x-request-uuid");
                json("bitbucket", headers, &bitbucket(announced))
            }
            Self::BitbucketDc => {
                let headers = event("x-event-key", "repo:refs_changed", "x-request-id");
                json("bitbucket", headers, &bitbucket_dc(announced))
            }
            Self::AzureDevops => json("basic", Vec::new(), &azure_devops(announced)),
            Self::Argocd => json("bearer", Vec::new(), &argocd(announced)),
            Self::Kargo => json("bearer", Vec::new(), &kargo(announced)),
            Self::Harbor => json("authorization", Vec::new(), &harbor(announced)),
            Self::DockerHub => json("bearer", Vec::new(), &docker_hub(announced)),
            Self::Quay => json("bearer", Vec::new(), &quay(announced)),
            Self::Cloudevents => {
                let media_type = "application/cloudevents+json".to_owned();
                let headers = vec![("content-type", media_type)];
                json("bearer", headers, &cloudevent(announced))
            }
            Self::Sns => {
                let headers = vec![
                    ("content-type", "text/plain; charset=UTF-8".to_owned()),
                    ("x-amz-sns-message-type", "Notification".to_owned()),
                    ("x-amz-sns-message-id", id()),
                ];
                json("basic", headers, &sns(announced))
            }
            Self::Codecommit => json("basic", Vec::new(), &codecommit(announced)),
        }
    }
}

fn generic(announced: &Announced<'_>) -> Value {
    match announced.repository {
        Some(repository) => json!({"ref": announced.git_ref, "repository": repository}),
        None => json!({"ref": announced.git_ref}),
    }
}

/// GitHub, Gitea, Forgejo and Gogs.
fn push(announced: &Announced<'_>) -> Value {
    json!({
        "ref": announced.full(),
        "deleted": false,
        "repository": {
            "full_name": announced.repository,
            "pushed_at": announced.now.as_second(),
        },
    })
}

fn gitlab(announced: &Announced<'_>) -> Value {
    let kind = match announced.kind_and_name().0 {
        "branch" => "push",
        _ => "tag_push",
    };
    json!({
        "object_kind": kind,
        "event_name": kind,
        "ref": announced.full(),
        "project": {"path_with_namespace": announced.repository},
    })
}

fn bitbucket(announced: &Announced<'_>) -> Value {
    let (kind, name) = announced.kind_and_name();
    json!({
        "push": {"changes": [{"old": null, "new": {"type": kind, "name": name}}]},
        "repository": {"full_name": announced.repository},
    })
}

fn bitbucket_dc(announced: &Announced<'_>) -> Value {
    let (kind, name) = announced.kind_and_name();
    let (project, slug) = announced
        .repository
        .and_then(|name| name.rsplit_once('/'))
        .unzip();
    json!({
        "eventKey": "repo:refs_changed",
        "changes": [{
            "ref": {"id": announced.full(), "displayId": name, "type": kind.to_uppercase()},
            "type": "UPDATE",
        }],
        "repository": {"slug": slug, "project": {"key": project}},
    })
}

fn azure_devops(announced: &Announced<'_>) -> Value {
    json!({
        "id": announced.id,
        "eventType": "git.push",
        "publisherId": "tfs",
        "resource": {
            "refUpdates": [{"name": announced.full()}],
            "repository": {"remoteUrl": announced.repository},
            "date": announced.now.to_string(),
        },
    })
}

fn argocd(announced: &Announced<'_>) -> Value {
    json!({
        "app": {
            "metadata": {"annotations": {"git.ref": announced.git_ref}},
            "spec": {"source": {"repoURL": announced.repository}},
        },
    })
}

fn kargo(announced: &Announced<'_>) -> Value {
    let tag = announced.kind_and_name().1;
    json!({
        "type": "PromotionSucceeded",
        "freight": {"commits": [{"tag": tag, "repoURL": announced.repository}]},
    })
}

fn harbor(announced: &Announced<'_>) -> Value {
    let (image, tag) = announced.image_and_tag();
    json!({
        "type": "PUSH_ARTIFACT",
        "occur_at": announced.now.as_second(),
        "event_data": {
            "resources": [{"tag": tag, "resource_url": format!("registry.example.com/{image}:{tag}")}],
            "repository": {"repo_full_name": image},
        },
    })
}

fn docker_hub(announced: &Announced<'_>) -> Value {
    let (image, tag) = announced.image_and_tag();
    json!({
        "push_data": {"tag": tag, "pushed_at": announced.now.as_second()},
        "repository": {"repo_name": image},
    })
}

fn quay(announced: &Announced<'_>) -> Value {
    let (image, tag) = announced.image_and_tag();
    json!({
        "repository": image,
        "docker_url": format!("quay.io/{image}"),
        "updated_tags": [tag],
    })
}

fn cloudevent(announced: &Announced<'_>) -> Value {
    json!({
        "specversion": "1.0",
        "id": announced.id,
        "source": "/stoker/send",
        "type": "com.example.release",
        "time": announced.now.to_string(),
        "datacontenttype": "application/json",
        "data": generic(announced),
    })
}

fn sns(announced: &Announced<'_>) -> Value {
    json!({
        "Type": "Notification",
        "MessageId": announced.id,
        "TopicArn": TOPIC,
        "Message": generic(announced).to_string(),
        "Timestamp": announced.now.to_string(),
    })
}

fn codecommit(announced: &Announced<'_>) -> Value {
    let (kind, name) = announced.kind_and_name();
    // A name of CodeCommit contains no slash.
    let repository = announced.repository.unwrap_or_default();
    let repository = repository.trim_end_matches('/').rsplit('/').next();
    json!({
        "id": announced.id,
        "detail-type": "CodeCommit Repository State Change",
        "source": "aws.codecommit",
        "time": announced.now.to_string(),
        "detail": {
            "event": "referenceUpdated",
            "repositoryName": repository,
            "referenceType": kind,
            "referenceName": name,
            "referenceFullName": announced.full(),
        },
    })
}

#[cfg(test)]
mod tests;
