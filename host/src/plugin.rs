//! The plugins: WebAssembly components that say which git ref a verified webhook announces.
//!
//! A component is compiled once and linked once. Every call goes to a fresh instance that is thrown away, so nothing of
//! one delivery is left when the next one comes. What a component answers is checked before it becomes a
//! [`Detection`](stoker_api::detection::Detection). The types of the WIT end in `bindings`. No other module names
//! `wasmtime`, and this module knows neither HTTP servers nor Kubernetes.
//!
//! In the order in which a plugin passes them: `sandbox` (the engine that every guest runs in), `supply` (where files
//! come from), `inspect` (what a file is and what compiling it takes), `component` (bytes to something linked, on
//! threads of `background`, within the `memory` that is left), `descriptor` (its description of itself), `load` (a
//! plugin, which can be asked), `settings` (its limits and settings), `catalog` (which plugins there are), `watch` (when
//! files are scanned), `chain` (which plugins are asked, in which order), `breaker` (which are not asked for a while),
//! `call` (one call of one instance), `withheld` (which headers it does not see), `lane` (on which thread it runs),
//! `reply` (what is made of its answer).

mod background;
mod bindings;
mod breaker;
mod builtin;
mod call;
mod catalog;
mod chain;
mod component;
mod descriptor;
mod error;
mod inspect;
mod lane;
mod limits;
mod load;
mod memory;
mod metrics;
mod reply;
mod sandbox;
mod settings;
mod status;
mod supply;
mod watch;

pub use call::{CallReport, Question};
pub use catalog::{Catalog, read_component};
pub use chain::{Declined, Detector, Verdict};
pub use descriptor::Descriptor;
pub use error::{CallError, LoadError, SandboxError, SettingsError};
pub use limits::{Capacity, Limits};
pub use load::{Origin, Plugin};
pub use metrics::PluginMetrics;
pub use reply::Reply;
pub use sandbox::Sandbox;
pub use settings::{Settings, SettingsSource, Tuning};
pub use status::{PluginState, PluginStatus};
pub use supply::{Bundles, Supply};
pub use watch::watch;
