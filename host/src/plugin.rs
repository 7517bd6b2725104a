//! The plugins: WebAssembly components that say which git ref a verified webhook announces.
//!
//! A component is compiled once and linked once; every question goes to a fresh instance that is thrown away, so
//! nothing of one delivery is there when the next comes. What a component says is not believed: its words become a
//! [`Detection`](crate::detection::Detection) only after they were checked. The types of the WIT end in `bindings`;
//! `wasmtime` is named nowhere outside of this room, and this room knows neither HTTP servers nor Kubernetes.
//!
//! In the order in which a plugin meets them: `sandbox` (what every guest lives in), `load` (bytes to a plugin),
//! `descriptor` (what it says of itself), `catalog` (which plugins there are), `watch` (when they change), `chain`
//! (who is asked, in which order), `call` (one question to one instance), `reply` (what is made of its words).

mod bindings;
mod builtin;
mod call;
mod catalog;
mod chain;
mod descriptor;
mod error;
mod limits;
mod load;
mod metrics;
mod reply;
mod sandbox;
mod watch;

pub use call::{CallReport, Question};
pub use catalog::{Catalog, PluginState, PluginStatus};
pub use chain::{Declined, Detector, Verdict};
pub use descriptor::Descriptor;
pub use error::{CallError, LoadError, SandboxError};
pub use limits::Limits;
pub use load::{Origin, Plugin};
pub use metrics::PluginMetrics;
pub use reply::Reply;
pub use sandbox::Sandbox;
pub use watch::watch;
