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
//! On `wasm32` the crate has no standard library below it and brings the panic handler and the allocator. On any
//! other target a plugin is an ordinary library, tested without a host through the feature `testing`.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod answer;
#[cfg(any(target_arch = "wasm32", test))]
mod arena;
mod change;
pub mod pointer;
mod request;
pub mod text;

#[cfg(target_arch = "wasm32")]
mod allocator;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod guest;
#[cfg(all(feature = "testing", not(target_arch = "wasm32")))]
pub mod testing;

pub use answer::{Descriptor, Detection, Malformed, Outcome};
pub use change::{Change, changes};
#[cfg(target_arch = "wasm32")]
pub use guest::{log, setting};
pub use request::{Kind, Request};

/// Exports a [`Descriptor`] constant and a function `fn(&impl Request) -> Result<Outcome, Malformed>` as the
/// component. Anywhere but on `wasm32` it is nothing.
#[macro_export]
macro_rules! detector {
    ($descriptor:path, $detect:path) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Component;

            impl $crate::guest::Guest for Component {
                fn describe() -> $crate::guest::Descriptor {
                    $crate::guest::describe(&$descriptor)
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
