//! Who is asked about a delivery, in which order, and when to stop.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::call::Question;
use super::error::CallError;
use super::load::Plugin;
use super::reply::Reply;
use super::sandbox::Sandbox;
use crate::detection::Detection;

/// What the plugins, together, say of a delivery.
#[derive(Debug)]
pub enum Verdict {
    /// One of them recognised it.
    Found {
        /// Who.
        plugin: Arc<Plugin>,
        /// The refs it announces, at least one.
        detections: Vec<Detection>,
    },
    /// One of them recognised it, and there is nothing to do.
    Ignored {
        /// Who.
        plugin: Arc<Plugin>,
        /// Why.
        reason: String,
    },
    /// One of them recognised it, and it is malformed.
    Malformed {
        /// Who.
        plugin: Arc<Plugin>,
        /// In which way.
        why: String,
    },
    /// One of them failed. The ones behind it were not asked: they might take for theirs what is not.
    Failed {
        /// Who.
        plugin: Arc<Plugin>,
        /// How.
        error: CallError,
    },
    /// None of them recognised it.
    Unrecognised {
        /// Every plugin, in order, and why it passed.
        declined: Vec<Declined>,
    },
}

/// A plugin that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declined {
    /// Its name.
    pub plugin: String,
    /// Why, in words for the sender.
    pub reason: String,
}

/// Asks the plugins that are loaded at the moment.
pub struct Detector {
    sandbox: Arc<Sandbox>,
    chain: ArcSwap<Vec<Arc<Plugin>>>,
}

impl Detector {
    /// A detector that knows no plugin yet.
    #[must_use]
    pub fn new(sandbox: Arc<Sandbox>) -> Self {
        Self {
            sandbox,
            chain: ArcSwap::default(),
        }
    }

    /// The sandbox in which the plugins run.
    #[must_use]
    pub fn sandbox(&self) -> &Arc<Sandbox> {
        &self.sandbox
    }

    /// The plugins, in the order in which they are asked.
    #[must_use]
    pub fn plugins(&self) -> Arc<Vec<Arc<Plugin>>> {
        self.chain.load_full()
    }

    /// Puts other plugins in place. Questions that are on their way go on with the ones they met.
    pub(super) fn replace(&self, plugins: Vec<Arc<Plugin>>) {
        self.chain.store(Arc::new(plugins));
    }

    /// Asks one after the other, until one says that the delivery is its own.
    pub async fn detect(&self, question: Question) -> Verdict {
        let question = Arc::new(question);
        let plugins = self.plugins();
        let mut asked_in_vain = Vec::new();
        for plugin in plugins.iter().filter(|plugin| plugin.wants(&question)) {
            let plugin = Arc::clone(plugin);
            return match plugin.ask(&self.sandbox, &question).await.0 {
                Ok(Reply::NotMine) => {
                    asked_in_vain.push(plugin);
                    continue;
                }
                Ok(Reply::Found(detections)) => Verdict::Found { plugin, detections },
                Ok(Reply::Ignored(reason)) => Verdict::Ignored { plugin, reason },
                Ok(Reply::Malformed(why)) => Verdict::Malformed { plugin, why },
                Err(CallError::Ref(error)) => Verdict::Malformed {
                    plugin,
                    why: CallError::Ref(error).to_string(),
                },
                Err(error) => Verdict::Failed { plugin, error },
            };
        }
        Verdict::Unrecognised {
            declined: explain(&plugins, &asked_in_vain),
        }
    }
}

fn explain(plugins: &[Arc<Plugin>], asked_in_vain: &[Arc<Plugin>]) -> Vec<Declined> {
    let declined = plugins.iter().map(|plugin| {
        let was_asked = asked_in_vain.iter().any(|other| Arc::ptr_eq(other, plugin));
        let reason = if was_asked {
            "it says that this is not its format".to_owned()
        } else {
            missing(plugin)
        };
        Declined {
            plugin: plugin.descriptor().name.clone(),
            reason,
        }
    });
    declined.collect()
}

/// What a delivery must have for the plugin to be asked.
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
