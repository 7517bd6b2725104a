//! A Stoker plugin in Rust: two items, [`Descriptor`] and a detect function, and [`detector!`] to export them.
//!
//! ```
//! use stoker_plugin::{Descriptor, Detection, Malformed, Outcome, Request};
//!
//! const DESCRIPTOR: Descriptor = Descriptor {
//!     name: "acme",
//!     version: "1.0.0",
//!     summary: "What ACME's release board announces",
//!     headers: &[],
//!     pointers: &["/acme/tag"],
//! };
//!
//! fn detect(request: &impl Request) -> Result<Outcome, Malformed> {
//!     Ok(Outcome::Found(vec![Detection::new(request.required("/acme/tag")?)]))
//! }
//!
//! stoker_plugin::detector!(DESCRIPTOR, detect);
//! ```
//!
//! On `wasm32`, the crate is `no_std` and contains a panic handler and a small allocator, so a plugin can be `no_std`
//! too. Both are features. With only the feature `allocator`, a plugin can use the standard library; this costs a
//! kilobyte and the size of the used parts. With neither feature, the plugin also uses the allocator of the standard
//! library, which frees memory and costs ten more kilobytes. On any other target, a plugin is an ordinary library. The
//! feature `testing` tests it without a host.

#![cfg_attr(all(target_arch = "wasm32", feature = "panic-handler"), no_std)]

extern crate alloc;

mod answer;
#[cfg(any(all(target_arch = "wasm32", feature = "allocator"), test))]
mod arena;
pub mod base64;
pub mod cloud_event;
mod json;
pub mod list;
mod part;
pub mod pointer;
pub mod push;
pub mod release;
mod request;
pub mod sns;
pub mod text;
pub mod time;

#[cfg(all(target_arch = "wasm32", feature = "allocator"))]
mod allocator;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod guest;
#[cfg(all(target_arch = "wasm32", feature = "panic-handler"))]
mod panic;
#[cfg(all(feature = "testing", not(target_arch = "wasm32")))]
pub mod testing;

pub use answer::{Descriptor, Detection, Malformed, Outcome, PreFilter};
#[cfg(target_arch = "wasm32")]
pub use guest::log;
pub use part::Part;
pub use request::{Kind, Request, Settings};

/// Exports a [`Descriptor`] constant and a function `fn(&impl Request) -> Result<Outcome, Malformed>` as the
/// component. On targets other than `wasm32` it expands to nothing.
///
/// If the pre-filter depends on the settings, a third item is a function `fn(&impl Settings) -> PreFilter`. Its
/// pre-filter replaces that of the descriptor. The host calls it when the plugin is loaded and whenever its settings
/// change.
#[macro_export]
macro_rules! detector {
    ($descriptor:path, $detect:path) => {
        $crate::detector!(@export $descriptor, $detect, $crate::PreFilter::from(&$descriptor));
    };
    ($descriptor:path, $detect:path, $pre_filter:path) => {
        $crate::detector!(@export $descriptor, $detect, $pre_filter(&$crate::guest::Configured));
    };
    (@export $descriptor:path, $detect:path, $filter:expr) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Component;

            impl $crate::guest::Guest for Component {
                fn describe() -> $crate::guest::Descriptor {
                    $crate::guest::describe(&$descriptor, $filter)
                }

                fn detect(
                    request: &$crate::guest::Request,
                ) -> Result<$crate::Outcome, $crate::guest::String> {
                    $detect(request).map_err(|$crate::Malformed(why)| why)
                }
            }

    $crate::guest::bindings::export!(Component with_types_in $crate::guest::bindings);
        };
    };
}
