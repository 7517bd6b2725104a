//! Small adapters for the Kubernetes API. Each is used by itself, and depends on the API alone or on the module that it
//! serves.
//!
//! The objects are read and written elsewhere: `request`, `controller` and `injection` have clients of their own.

pub(crate) mod api_errors;
pub mod events;
pub mod leader;
pub mod plugin_maps;
pub mod secret_store;
pub(crate) mod single_try;
pub(crate) mod watch_backoff;
pub(crate) mod written;
