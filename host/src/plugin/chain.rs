//! Who is asked about a delivery, in which order, and when to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::call::Question;
use super::error::CallError;
use super::load::Plugin;
use super::reply::Reply;
use super::sandbox::Sandbox;
use super::status::{PluginStatus, Standing};
use crate::detection::{Detection, Selection};

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
    /// One that may know it cannot be asked at the moment.
    Unavailable {
        /// Who.
        plugin: Arc<Plugin>,
        /// When it can be asked, where that is known.
        again_in: Option<Duration>,
    },
    /// None of them recognised it.
    Unrecognised {
        /// Every plugin, in order, and why it passed or was not asked.
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
    standings: ArcSwap<Vec<Standing>>,
    is_complete: AtomicBool,
}

impl Detector {
    /// A detector that knows no plugin yet.
    #[must_use]
    pub fn new(sandbox: Arc<Sandbox>) -> Self {
        Self {
            sandbox,
            chain: ArcSwap::default(),
            standings: ArcSwap::default(),
            is_complete: AtomicBool::new(false),
        }
    }

    /// Whether every source of plugins was looked at: before, one that is there may not be asked yet.
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
        self.chain.load_full()
    }

    /// How everything stands: first who is asked, in order, then who is not.
    #[must_use]
    pub fn status(&self) -> Vec<PluginStatus> {
        self.standings.load().iter().map(Standing::now).collect()
    }

    /// Puts other plugins in place: those that are asked, in order, and those that are not. Questions that are on their
    /// way go on with the ones they met.
    pub(super) fn replace(&self, mut asked: Vec<Standing>, not_asked: Vec<Standing>) {
        let plugins = asked.iter().filter_map(|standing| standing.plugin.clone());
        self.chain.store(Arc::new(plugins.collect()));
        asked.extend(not_asked);
        self.standings.store(Arc::new(asked));
    }

    /// Asks one after the other, of those that are selected, until one says that the delivery is its own.
    pub async fn detect(&self, question: Question, selection: &Selection) -> Verdict {
        let question = Arc::new(question);
        let plugins = self.plugins();
        let mut asked_in_vain = Vec::new();
        let mut passed_over = None;
        let candidates = plugins
            .iter()
            .filter(|plugin| selection.has(&plugin.descriptor().name) && plugin.wants(&question));
        for plugin in candidates {
            let plugin = Arc::clone(plugin);
            return match plugin.ask(&self.sandbox, &question).await.0 {
                Ok(Reply::NotMine) => {
                    asked_in_vain.push(plugin);
                    continue;
                }
                // It would be asked about anything, so nothing says that this delivery is its own. Any other has a
                // sign that it is: whoever comes next might misread it, and the sender had better try again.
                Err(CallError::Benched { again_in }) if plugin.wants_everything() => {
                    passed_over = Some((plugin, again_in));
                    continue;
                }
                Err(CallError::Benched { again_in }) => Verdict::Unavailable {
                    plugin,
                    again_in: Some(again_in),
                },
                Err(CallError::Busy) => Verdict::Unavailable {
                    plugin,
                    again_in: None,
                },
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
        match passed_over {
            Some((plugin, again_in)) => Verdict::Unavailable {
                plugin,
                again_in: Some(again_in),
            },
            None => Verdict::Unrecognised {
                declined: explain(&plugins, &asked_in_vain, selection),
            },
        }
    }
}

fn explain(
    plugins: &[Arc<Plugin>],
    asked_in_vain: &[Arc<Plugin>],
    selection: &Selection,
) -> Vec<Declined> {
    let declined = plugins.iter().map(|plugin| {
        let name = &plugin.descriptor().name;
        let was_asked = asked_in_vain.iter().any(|other| Arc::ptr_eq(other, plugin));
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
