//! `stoker:detect@0.1`: the functions that the host offers to a guest, and the conversion of a guest's answers to plain
//! types.

use std::borrow::Cow;
use std::sync::Arc;

use wasmtime::component::{Component, InstancePre, Linker, Resource};
use wasmtime::{Engine, Error, Result, Store};

use self::generated::stoker::detect::{diagnostics, payload, settings};
use super::super::call::Guest;
use super::super::descriptor::RawDescriptor;
use super::super::reply::{RawDetection, RawReply};
use crate::payload::Kind;

use generated::PayloadDetectorIndices;

mod generated {
    #![allow(
        missing_docs,
        clippy::pedantic,
        clippy::use_self,
        clippy::str_to_string,
        reason = "generated from the WIT, which documents itself"
    )]

    wasmtime::component::bindgen!({
        path: "../wit/v0.1.0",
        world: "payload-detector",
        imports: { default: trappable },
        exports: { default: async },
    });
}

/// The handle of a request. It carries no data, because the store holds the one request of the instance.
type Request = Resource<payload::Request>;

/// The world that a component of this version targets.
pub(in super::super) const WORLD: &str = "stoker:detect/payload-detector@0.1.0";

/// The interfaces that a component of this version may import, with their functions.
pub(in super::super) const IMPORTS: [(&str, &[&str]); 3] = [
    (
        "payload",
        &[
            "[method]request.header",
            "[method]request.string-at",
            "[method]request.kind-at",
            "[method]request.len-at",
            "[method]request.json-at",
            "[method]request.body",
        ],
    ),
    ("settings", &["get"]),
    ("diagnostics", &["log"]),
];

/// A component of this version, compiled and linked.
#[derive(Clone)]
pub(in super::super) struct Detector {
    instance_pre: InstancePre<Guest>,
    indices: Arc<PayloadDetectorIndices>,
}

/// The reason why an instance gave no answer.
#[derive(Debug)]
pub(in super::super) enum InstanceError {
    /// The types of the component's exports differ from those of the interface. They are compared only when the
    /// component is instantiated.
    Types(Error),
    /// The instance failed during instantiation, which runs its start functions, or during the call.
    Run(Error),
}

impl Detector {
    /// Links a component.
    pub(in super::super) fn link(engine: &Engine, component: &Component) -> Result<Self> {
        let mut linker = Linker::<Guest>::new(engine);
        generated::PayloadDetector::add_to_linker::<_, wasmtime::component::HasSelf<_>>(
            &mut linker,
            |guest| guest,
        )?;
        let instance_pre: InstancePre<Guest> = linker.instantiate_pre(component)?;
        let indices = PayloadDetectorIndices::new(&instance_pre)?;
        Ok(Self {
            instance_pre,
            indices: Arc::new(indices),
        })
    }

    /// Instantiates the component, which runs its start functions.
    pub(in super::super) async fn instantiate(
        &self,
        store: &mut Store<Guest>,
    ) -> Result<Instance, InstanceError> {
        let instance = self.instance_pre.instantiate_async(&mut *store).await;
        let instance = instance.map_err(InstanceError::Run)?;
        let exports = self.indices.load(store, &instance);
        exports.map(Instance).map_err(InstanceError::Types)
    }
}

/// One instance, for one call.
pub(in super::super) struct Instance(generated::PayloadDetector);

impl Instance {
    pub(in super::super) async fn describe(
        &self,
        store: &mut Store<Guest>,
    ) -> Result<RawDescriptor> {
        let descriptor = self.0.stoker_detect_detector().call_describe(store).await?;
        Ok(RawDescriptor {
            name: descriptor.name,
            version: descriptor.version,
            summary: descriptor.summary,
            headers: descriptor.headers,
            pointers: descriptor.pointers,
        })
    }

    pub(in super::super) async fn detect(&self, store: &mut Store<Guest>) -> Result<RawReply> {
        use generated::exports::stoker::detect::detector::Outcome;

        let answer = self
            .0
            .stoker_detect_detector()
            .call_detect(store, Request::new_borrow(0))
            .await?;
        Ok(match answer {
            Ok(Outcome::NotMine) => RawReply::NotMine,
            Ok(Outcome::Ignored(reason)) => RawReply::Ignored(reason),
            Ok(Outcome::Found(found)) => RawReply::Found(
                found
                    .into_iter()
                    .map(|one| RawDetection {
                        git_ref: one.git_ref,
                        commit: one.commit,
                        repositories: one.repositories,
                        occurred_at: one.occurred_at,
                        delivery_id: one.delivery_id,
                        attributes: one.attributes,
                    })
                    .collect(),
            ),
            Err(why) => RawReply::Malformed(why),
        })
    }
}

impl payload::Host for Guest {}

impl payload::HostRequest for Guest {
    fn header(&mut self, _: Request, name: String) -> Result<Option<String>> {
        Self::header(self, &name)
    }

    fn string_at(&mut self, _: Request, pointer: String) -> Result<Option<String>> {
        Ok(self
            .question()?
            .document()
            .string_at(&pointer)
            .map(str::to_owned))
    }

    fn kind_at(&mut self, _: Request, pointer: String) -> Result<Option<payload::Kind>> {
        Ok(self
            .question()?
            .document()
            .kind_at(&pointer)
            .map(|kind| match kind {
                Kind::Null => payload::Kind::Null,
                Kind::Boolean => payload::Kind::Boolean,
                Kind::Number => payload::Kind::Number,
                Kind::Text => payload::Kind::Text,
                Kind::Array => payload::Kind::Array,
                Kind::Object => payload::Kind::Object,
            }))
    }

    fn len_at(&mut self, _: Request, pointer: String) -> Result<Option<u32>> {
        Ok(self.question()?.document().len_at(&pointer))
    }

    fn json_at(&mut self, _: Request, pointer: String) -> Result<Option<String>> {
        Ok(self
            .question()?
            .document()
            .json_at(&pointer)
            .map(Cow::into_owned))
    }

    fn body(&mut self, _: Request) -> Result<Vec<u8>> {
        Ok(self.question()?.body().to_vec())
    }

    fn drop(&mut self, _: Request) -> Result<()> {
        Ok(())
    }
}

impl settings::Host for Guest {
    fn get(&mut self, key: String) -> Result<Option<String>> {
        Ok(self.setting(&key).map(str::to_owned))
    }
}

impl diagnostics::Host for Guest {
    fn log(&mut self, message: String) -> Result<()> {
        self.log(&message);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_are_those_of_the_released_interface() {
        let wit = include_str!("../../../../wit/v0.1.0/detect.wit");
        for (interface, functions) in IMPORTS {
            let start = wit.find(&format!("interface {interface} {{")).unwrap();
            let text = wit[start..].split("\n}").next().unwrap();
            let declared = text.lines().filter(|line| line.contains(": func("));
            assert_eq!(declared.count(), functions.len(), "{interface}");
            for function in functions {
                let name = function.rsplit('.').next().unwrap();
                assert!(text.contains(&format!(" {name}: func(")), "{function}");
            }
        }
    }
}
