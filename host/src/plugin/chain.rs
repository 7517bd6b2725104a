//! Selects the plugins that are asked about a delivery, and the plugin whose answer ends the search. `catalog/order.rs`
//! decides their order.
//!
//! - A plugin whose pre-filter does not let the delivery through is not asked.
//! - The first plugin that recognises the delivery decides: it found refs, ignores the delivery, or says that it is
//!   malformed.
//! - A failing plugin with a pre-filter ends the search: the delivery carries its header or pointer, and another plugin
//!   might misread it.
//! - A failing plugin without a pre-filter does not end the search; its failure becomes the answer only if no other
//!   plugin recognises the delivery. From its first failure until it has answered as often as it failed, it is asked
//!   after all other plugins.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use stoker_api::detection::{Detection, DetectorSelection};

use super::error::CallError;
use super::load::Plugin;
use super::question::Question;
use super::reply::Reply;
use super::sandbox::Sandbox;
use super::status::{Listed, PluginStatus};
use crate::auth::Verified;
use crate::delivery::Delivery;
use crate::payload::PayloadError;

/// The maximum size of a body in bytes that is parsed on the calling thread. That takes a tenth of a millisecond.
const LARGE_BYTES: usize = 64 << 10;

/// The combined answer of the plugins about a delivery.
#[derive(Debug)]
pub enum Verdict {
    /// One of them recognised it.
    Found {
        /// The plugin.
        plugin: Arc<Plugin>,
        /// The refs it announces, at least one.
        detections: Vec<Detection>,
    },
    /// One of them recognised it, and there is nothing to do.
    Ignored {
        /// The plugin.
        plugin: Arc<Plugin>,
        /// The reason.
        reason: String,
    },
    /// One of them recognised it, and it is malformed.
    Malformed {
        /// The plugin.
        plugin: Arc<Plugin>,
        /// The reason why it is malformed.
        why: String,
    },
    /// One of them failed.
    Failed {
        /// The plugin.
        plugin: Arc<Plugin>,
        /// The failure.
        error: CallError,
    },
    /// One of them cannot be asked at the moment.
    Unavailable {
        /// The plugin.
        plugin: Arc<Plugin>,
        /// The time until it can be asked again, if known.
        again_in: Option<Duration>,
    },
    /// None of them recognised it.
    Unrecognised {
        /// Every plugin, in order, with the reason why it declined or was not asked.
        declined: Vec<Declined>,
    },
}

/// A plugin that declined, or was not asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declined {
    /// Its name.
    pub plugin: String,
    /// The reason, as text for the sender.
    pub reason: String,
}

/// The chain of the plugins that are loaded. It asks them about deliveries.
pub struct Chain {
    sandbox: Arc<Sandbox>,
    plugins: ArcSwap<Vec<Arc<Plugin>>>,
    listed: ArcSwap<Vec<Listed>>,
    is_complete: AtomicBool,
}

impl Chain {
    /// A chain without plugins.
    #[must_use]
    pub fn new(sandbox: Arc<Sandbox>) -> Self {
        Self {
            sandbox,
            plugins: ArcSwap::default(),
            listed: ArcSwap::default(),
            is_complete: AtomicBool::new(false),
        }
    }

    /// Whether every supply of plugins was read and its plugins are loaded. Until then, plugins may be missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.is_complete.load(Ordering::Relaxed)
    }

    pub(super) fn set_complete(&self) {
        self.is_complete.store(true, Ordering::Relaxed);
    }

    /// The sandbox in which the plugins run.
    #[must_use]
    pub fn sandbox(&self) -> &Arc<Sandbox> {
        &self.sandbox
    }

    /// The plugins, in the order in which they are asked.
    #[must_use]
    pub fn plugins(&self) -> Arc<Vec<Arc<Plugin>>> {
        self.plugins.load_full()
    }

    /// The plugin with this [number](Plugin::number), if it is selected and asked.
    #[must_use]
    pub fn numbered(&self, number: u64, selection: &DetectorSelection) -> Option<Arc<Plugin>> {
        let plugins = self.plugins.load();
        let plugin = plugins.iter().find(|plugin| plugin.number() == number)?;
        let is_selected = selection.has(&plugin.descriptor().name);
        is_selected.then(|| Arc::clone(plugin))
    }

    /// The state of every plugin and file. Those that are asked come first, in order, then the others.
    #[must_use]
    pub fn status(&self) -> Vec<PluginStatus> {
        self.listed.load().iter().map(Listed::now).collect()
    }

    /// Replaces the plugins: those that are asked, in order, and the others. Calls in flight keep the plugins that they
    /// use.
    pub(super) fn replace(&self, mut asked: Vec<Listed>, not_asked: Vec<Listed>) {
        let plugins = asked.iter().filter_map(|listed| listed.plugin.clone());
        self.plugins.store(Arc::new(plugins.collect()));
        asked.extend(not_asked);
        self.listed.store(Arc::new(asked));
    }

    /// Parses a delivery and asks the selected plugins about it. If its body is not JSON, the error is returned with their
    /// verdict. A large body does not occupy the calling thread.
    pub async fn detect(
        self: &Arc<Self>,
        delivery: Verified<Delivery>,
        selection: &DetectorSelection,
    ) -> (Verdict, Result<(), PayloadError>) {
        let is_large = delivery.body.len() > LARGE_BYTES;
        let (chain, selection) = (Arc::clone(self), selection.clone());
        let detection = async move {
            let (question, parsed) = Question::new(delivery);
            (chain.ask(question, &selection).await, parsed)
        };
        if is_large {
            self.sandbox.large_lane().work(detection).await
        } else {
            detection.await
        }
    }

    /// Asks the selected plugins, one after the other, until one decides.
    async fn ask(&self, question: Question, selection: &DetectorSelection) -> Verdict {
        let question = Arc::new(question);
        let plugins = self.plugins();
        let mut declined = Vec::new();
        let mut failure = None;
        for plugin in candidates(&plugins, &question, selection) {
            let reply = plugin.ask(&self.sandbox, &question).await.0;
            match decide(Arc::clone(&plugin), reply) {
                Decision::Declined => declined.push(plugin),
                Decision::Failed(verdict) if plugin.wants_everything() => {
                    failure.get_or_insert(verdict);
                }
                Decision::Claimed(verdict) | Decision::Failed(verdict) => return verdict,
            }
        }
        failure.unwrap_or_else(|| Verdict::Unrecognised {
            declined: explain(&plugins, &declined, selection),
        })
    }
}

/// The plugins that are asked, in order. Plugins without a pre-filter that are failing come last.
fn candidates(
    plugins: &[Arc<Plugin>],
    question: &Question,
    selection: &DetectorSelection,
) -> impl Iterator<Item = Arc<Plugin>> {
    let wanted = plugins
        .iter()
        .filter(|plugin| selection.has(&plugin.descriptor().name) && plugin.wants(question))
        .cloned();
    let (last, first): (Vec<_>, Vec<_>) =
        wanted.partition(|plugin| plugin.wants_everything() && plugin.is_failing());
    first.into_iter().chain(last)
}

/// The meaning of a plugin's reply for the delivery.
enum Decision {
    /// The plugin says that the delivery is of another format.
    Declined,
    /// The plugin says that the delivery is of its format.
    Claimed(Verdict),
    /// The plugin gave no answer.
    Failed(Verdict),
}

fn decide(plugin: Arc<Plugin>, reply: Result<Reply, CallError>) -> Decision {
    use Decision::{Claimed, Declined, Failed};

    match reply {
        Ok(Reply::NotMine) => Declined,
        Ok(Reply::Found(detections)) => Claimed(Verdict::Found { plugin, detections }),
        Ok(Reply::Ignored(reason)) => Claimed(Verdict::Ignored { plugin, reason }),
        Ok(Reply::Malformed(why)) => Claimed(Verdict::Malformed { plugin, why }),
        Err(CallError::Ref(error)) => Claimed(Verdict::Malformed {
            plugin,
            why: CallError::Ref(error).to_string(),
        }),
        // The plugin recognised the delivery, but its answer cannot be used.
        Err(error @ CallError::Answer { .. }) => Claimed(Verdict::Failed { plugin, error }),
        Err(CallError::Benched { again_in }) => Failed(Verdict::Unavailable {
            plugin,
            again_in: Some(again_in),
        }),
        Err(error @ (CallError::Busy | CallError::NoAddressSpace(_))) => {
            if matches!(error, CallError::NoAddressSpace(_)) {
                tracing::warn!(plugin.file = %plugin.origin(), error = %stoker_report::chain(&error), "the plugin cannot be called");
            }
            Failed(Verdict::Unavailable {
                plugin,
                again_in: None,
            })
        }
        Err(error) => Failed(Verdict::Failed { plugin, error }),
    }
}

fn explain(
    plugins: &[Arc<Plugin>],
    asked: &[Arc<Plugin>],
    selection: &DetectorSelection,
) -> Vec<Declined> {
    let declined = plugins.iter().map(|plugin| {
        let name = &plugin.descriptor().name;
        let was_asked = asked.iter().any(|other| Arc::ptr_eq(other, plugin));
        let reason = if was_asked {
            "it says that this is not its format".to_owned()
        } else if !selection.has(name) {
            "the object's spec.webhook.detectors does not name it".to_owned()
        } else {
            missing(plugin)
        };
        Declined {
            plugin: name.clone(),
            reason,
        }
    });
    let is_loaded = |name: &&str| {
        plugins
            .iter()
            .any(|plugin| plugin.descriptor().name == **name)
    };
    let absent = selection.names().filter(|name| !is_loaded(name));
    let absent = absent.map(|name| Declined {
        plugin: name.to_owned(),
        reason: "the object's spec.webhook.detectors names it, and there is no such plugin"
            .to_owned(),
    });
    declined.chain(absent).collect()
}

/// Describes the headers and pointers that a delivery needs for the plugin to be asked.
fn missing(plugin: &Plugin) -> String {
    let descriptor = plugin.descriptor();
    let headers = descriptor
        .headers
        .iter()
        .map(|name| format!("the header {name}"));
    let pointers = descriptor
        .pointers
        .iter()
        .map(|pointer| format!("a value at {pointer}"));
    format!(
        "it looks for {}",
        headers.chain(pointers).collect::<Vec<_>>().join(" or ")
    )
}
