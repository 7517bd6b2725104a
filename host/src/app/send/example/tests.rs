use std::sync::Arc;

use clap::ValueEnum as _;
use http::{HeaderMap, HeaderName, HeaderValue};
use prometheus_client::registry::Registry;
use stoker_api::detection::{Detection, DetectorSelection};

use super::*;
use crate::auth::{AuthConfig, Authenticator, Scheme};
use crate::delivery::Delivery;
use crate::plugin::{Capacity, Catalog, Chain, PluginMetrics, Sandbox, SettingsSource, Verdict};
use crate::secrets::SecretSource;

const SECRET: &str = "a secret of some length";

async fn chain() -> Arc<Chain> {
    let sandbox = Arc::new(Sandbox::new(Capacity::default()).unwrap());
    let chain = Arc::new(Chain::new(sandbox));
    let metrics = PluginMetrics::register(&mut Registry::default());
    let catalog = Catalog::open(
        Arc::clone(&chain),
        metrics,
        Vec::new(),
        SettingsSource::default(),
    );
    drop(catalog.await.unwrap());
    chain
}

/// Verifies an example as a receiver does, and returns the verdict of the built-in plugins.
async fn verdict(chain: &Arc<Chain>, example: Example, scheme: &Scheme, id: &str) -> Verdict {
    let mut headers = HeaderMap::new();
    let proof = scheme.headers(SECRET, &example.body, Timestamp::now(), id);
    for (name, value) in example.headers.into_iter().chain(proof) {
        let value = HeaderValue::try_from(value).unwrap();
        headers.insert(HeaderName::from_static(name), value);
    }
    let auth = Authenticator::new(AuthConfig {
        hmac: Some(SecretSource::Inline(SECRET.to_owned())),
        ..AuthConfig::default()
    });
    let delivery = Delivery {
        headers,
        body: example.body.into(),
    };
    let delivery = auth.global().verify(delivery).unwrap();
    let (verdict, parsed) = chain.detect(delivery, &DetectorSelection::default()).await;
    parsed.unwrap();
    verdict
}

/// The plugin that recognises the example of a provider.
fn plugin_of(provider: Provider) -> &'static str {
    match provider {
        Provider::Generic | Provider::StandardWebhooks | Provider::Sns => "generic",
        Provider::Github | Provider::GithubForm => "github",
        Provider::Gitea | Provider::Forgejo | Provider::Gogs => "gitea",
        Provider::Gitlab | Provider::GitlabSigned => "gitlab",
        Provider::Bitbucket | Provider::BitbucketDc => "bitbucket",
        Provider::AzureDevops => "azure-devops",
        Provider::Argocd => "argocd",
        Provider::Kargo => "kargo",
        Provider::Harbor | Provider::DockerHub | Provider::Quay => "registry",
        Provider::Cloudevents => "cloudevents",
        Provider::Codecommit => "codecommit",
    }
}

fn only(detections: Vec<Detection>) -> Detection {
    let [detection] = <[Detection; 1]>::try_from(detections).unwrap();
    detection
}

#[tokio::test]
async fn each_example_is_verified_and_announces_its_ref() {
    let chain = chain().await;
    for provider in Provider::value_variants() {
        for (git_ref, repository) in [
            ("v1.0.0", None),
            ("refs/heads/release/1", Some("plant/line-7")),
        ] {
            if *provider == Provider::Codecommit && repository.is_none() {
                // The command requires a repository.
                continue;
            }
            let announced = Announced {
                git_ref,
                repository,
                id: "0d9b6a2e-4c1f-4b7a-8e5d-3f2a1b0c9d8e",
                now: Timestamp::now(),
            };
            let example = provider.example(&announced);
            let scheme = Scheme::named(example.scheme).unwrap();
            match verdict(&chain, example, scheme, announced.id).await {
                Verdict::Found { plugin, detections } => {
                    assert_eq!(plugin.descriptor().name, plugin_of(*provider));
                    let detection = only(detections);
                    let found = detection.git_ref.as_str();
                    // Kargo sends names of tags only.
                    let (full, name) = (announced.full(), announced.kind_and_name().1);
                    assert!([git_ref, &full, name].contains(&found), "{provider:?}");
                    let names = detection.repositories;
                    let is_named = names
                        .iter()
                        .any(|name| repository.is_some_and(|known| known.ends_with(name)));
                    // The source of an Application may be another repository.
                    let names_one = repository.is_some() && *provider != Provider::Argocd;
                    assert_eq!(is_named, names_one, "{provider:?} {names:?}");
                }
                Verdict::Ignored { plugin, reason } => {
                    assert_eq!(
                        plugin.descriptor().name,
                        "registry",
                        "{provider:?} {reason}"
                    );
                    assert_eq!(plugin_of(*provider), "registry");
                    assert!(reason.contains("the setting ref is missing"), "{reason}");
                }
                other => panic!("{provider:?}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn an_example_can_be_sent_in_every_scheme() {
    let chain = chain().await;
    for scheme in Scheme::all() {
        let announced = Announced {
            git_ref: "v1.0.0",
            repository: None,
            id: "msg_1",
            now: Timestamp::now(),
        };
        let example = Provider::Github.example(&announced);
        let verdict = verdict(&chain, example, scheme, announced.id).await;
        assert!(matches!(verdict, Verdict::Found { .. }), "{scheme:?}");
    }
}

#[test]
fn the_help_names_every_scheme() {
    let command = <crate::cli::Cli as clap::CommandFactory>::command();
    let send = command.find_subcommand("send").unwrap();
    let scheme = send.get_arguments().find(|one| one.get_id() == "scheme");
    let help = scheme.unwrap().get_help().unwrap().to_string();
    for scheme in Scheme::all() {
        assert!(help.contains(scheme.name()), "{}", scheme.name());
    }
}
