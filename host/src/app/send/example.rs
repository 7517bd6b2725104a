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
}

impl Provider {
    /// Returns the example of this sender.
    pub(super) fn example(self, announced: &Announced<'_>) -> Example {
        Example {
            scheme: self.scheme(),
            headers: self.headers(announced),
            body: self.body(announced).into_bytes(),
        }
    }

    fn scheme(self) -> &'static str {
        match self {
            Self::Generic | Self::Github | Self::GithubForm => "github",
            Self::StandardWebhooks | Self::GitlabSigned => "standard-webhooks",
            Self::Gitea => "gitea",
            Self::Forgejo => "forgejo",
            Self::Gogs => "gogs",
            Self::Gitlab => "gitlab",
            Self::Bitbucket | Self::BitbucketDc => "bitbucket",
            Self::Harbor => "authorization",
            Self::Argocd | Self::Kargo | Self::DockerHub | Self::Quay | Self::Cloudevents => {
                "bearer"
            }
            Self::AzureDevops | Self::Sns | Self::Codecommit => "basic",
        }
    }

    fn headers(self, announced: &Announced<'_>) -> Vec<(&'static str, String)> {
        let event = |name, event: &str, delivery| {
            vec![
                (name, event.to_owned()),
                (delivery, announced.id.to_owned()),
            ]
        };
        let content_type = |media_type: &str| ("content-type", media_type.to_owned());
        match self {
            Self::Github => event("x-github-event", "push", "x-github-delivery"),
            Self::GithubForm => {
                let mut headers = Self::Github.headers(announced);
                headers.push(content_type("application/x-www-form-urlencoded"));
                headers
            }
            Self::Gitea => event("x-gitea-event", "push", "x-gitea-delivery"),
            Self::Forgejo => event("x-forgejo-event", "push", "x-forgejo-delivery"),
            Self::Gogs => event("x-gogs-event", "push", "x-gogs-delivery"),
            Self::Gitlab | Self::GitlabSigned => {
                let name = match announced.kind_and_name().0 {
                    "branch" => "Push Hook",
                    _ => "Tag Push Hook",
                };
                event("x-gitlab-event", name, "idempotency-key")
            }
            Self::Bitbucket => event("x-event-key", "repo:push", "x-request-uuid"),
            Self::BitbucketDc => event("x-event-key", "repo:refs_changed", "x-request-id"),
            Self::Cloudevents => vec![content_type("application/cloudevents+json")],
            Self::Sns => vec![
                content_type("text/plain; charset=UTF-8"),
                ("x-amz-sns-message-type", "Notification".to_owned()),
                ("x-amz-sns-message-id", announced.id.to_owned()),
            ],
            Self::Generic
            | Self::StandardWebhooks
            | Self::AzureDevops
            | Self::Argocd
            | Self::Kargo
            | Self::Harbor
            | Self::DockerHub
            | Self::Quay
            | Self::Codecommit => Vec::new(),
        }
    }

    fn body(self, announced: &Announced<'_>) -> String {
        let json = match self {
            Self::Generic | Self::StandardWebhooks => generic(announced),
            Self::Github | Self::GithubForm | Self::Gitea | Self::Forgejo | Self::Gogs => {
                push(announced)
            }
            Self::Gitlab | Self::GitlabSigned => gitlab(announced),
            Self::Bitbucket => bitbucket(announced),
            Self::BitbucketDc => bitbucket_dc(announced),
            Self::AzureDevops => azure_devops(announced),
            Self::Argocd => argocd(announced),
            Self::Kargo => kargo(announced),
            Self::Harbor => harbor(announced),
            Self::DockerHub => docker_hub(announced),
            Self::Quay => quay(announced),
            Self::Cloudevents => cloudevent(announced),
            Self::Sns => sns(announced),
            Self::Codecommit => codecommit(announced),
        };
        let json = json.to_string();
        if self == Self::GithubForm {
            let mut form = form_urlencoded::Serializer::new(String::new());
            return form.append_pair("payload", &json).finish();
        }
        json
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
