//! The plugins: WebAssembly components that say which git ref a verified webhook announces.
//!
//! A component is compiled once and linked once. Every call goes to a new instance, which is dropped after the call, so
//! no state of one delivery is left for the next one. The answer of a component is checked before it becomes a
//! [`Detection`](stoker_api::detection::Detection). The types of the WIT do not leave `bindings`. No other module names
//! `wasmtime`, and this module knows neither HTTP servers nor Kubernetes.
//!
//! The modules, in the order in which a plugin passes through them: `sandbox` (the engine that every guest runs in),
//! `supply` (where files come from), `inspect` (the format of a file and the cost of compiling it), `component`
//! (compiles and links the bytes, on threads of `background`, within the memory that the process may still take),
//! `descriptor` (the plugin's description of itself), `load` (a loaded plugin, which can be asked), `settings` (its
//! limits and settings), `catalog` (which plugins exist, and in which order they are asked: `catalog/order.rs`),
//! `watch` (when files are scanned), `chain` (which plugins are asked), `breaker` (which plugins are not asked for a
//! while), `question` (a delivery, as plugins see it), `call` (one call of one instance), `lane` (which thread a call
//! runs on), `reply` (checks the answer).

mod background;
mod bindings;
mod breaker;
mod builtin;
mod call;
mod catalog;
mod chain;
mod clock;
mod component;
mod descriptor;
mod error;
mod inspect;
mod lane;
mod limits;
mod load;
mod metrics;
mod question;
mod reply;
mod sandbox;
mod settings;
mod status;
mod supply;
mod watch;

pub use call::CallReport;
pub use catalog::{Catalog, Watched, read_component};
pub use chain::{Chain, Declined, Verdict};
pub use descriptor::Descriptor;
pub use error::{CallError, LoadError, SandboxError, SettingsError};
pub use limits::{Capacity, Limits};
pub use load::{Origin, Plugin};
pub use metrics::PluginMetrics;
pub use question::Question;
pub use reply::Reply;
pub use sandbox::Sandbox;
pub use settings::{Settings, SettingsSource, Tuning};
pub use status::{PluginState, PluginStatus};
pub use supply::{Bundles, Supply};
pub use watch::watch;
