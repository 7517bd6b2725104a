//! The plugins: WebAssembly components that say which git ref a verified webhook announces.
//!
//! A component is compiled once and linked once; every question goes to a fresh instance that is thrown away, so
//! nothing of one delivery is there when the next comes. What a component says is not believed: its words become a
//! [`Detection`](crate::detection::Detection) only after they were checked. The types of the WIT end in `bindings`;
//! `wasmtime` is named nowhere outside of this room, and this room knows neither HTTP servers nor Kubernetes.
//!
//! In the order in which a plugin meets them: `sandbox` (what every guest lives in), `component` (bytes to something
//! linked, on a thread of `background`), `descriptor` (what it says of itself), `load` (a plugin, which can be asked), `settings` (what operators say
//! of it), `supply` (files that lie in no directory), `catalog` (which plugins there are), `watch` (when they change), `chain` (who is asked, in which order),
//! `breaker` (who is not asked for a while), `call` (one question to one instance), `lane` (on which thread), `reply`
//! (what is made of its words).

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
mod lane;
mod limits;
mod load;
mod metrics;
mod reply;
mod sandbox;
mod settings;
mod status;
mod supply;
mod watch;

pub use call::{CallReport, Question};
pub use catalog::{Catalog, PluginSources, read_component};
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
pub use supply::{SuppliedFiles, Supply};
pub use watch::watch;
