//! The code that the compiler generates to translate the values of one function from one component to another.
//!
//! It generates the translation of a type again at each use, until a function has a certain length. What is beyond that
//! is shared by functions (wasmtime-environ, `fact/trampoline.rs`). The weights were measured with wasmtime 48 on x86-64,
//! as the growth of the peak resident memory with 180 functions that each take a record, in all pairs of string
//! encodings:
//!
//! | record           | bytes of a function | estimate |
//! |------------------|---------------------|----------|
//! | 400 `u8`         | 133,000             | 220,000  |
//! | 400 `bool`       | 203,000             | 220,000  |
//! | 200 `char`       | 316,000             | 340,000  |
//! | 20 `string`      | 346,000             | 360,000  |
//! | 20 `list<string>`| 292,000             | 500,000  |
//! | 100 `option<u8>` | 193,000             | 250,000  |
//! | 200 `string`     | 299,000             | 820,000  |

use std::collections::HashMap;

use wasmparser::PrimitiveValType;
use wasmparser::component_types::{ComponentDefinedType, ComponentDefinedTypeId, ComponentValType};
use wasmparser::types::TypesRef;

/// Bytes for a number or a truth value, and for each flag or case.
const SCALAR: u64 = 500;
/// Bytes for a character, whose range is checked.
const CHARACTER: u64 = 1600;
/// Bytes for a string, whose encoding may change.
const STRING: u64 = 17_000;
/// Bytes for the loop of a list, without its elements.
const LIST: u64 = 7000;
/// Bytes for the choice between the cases of a variant.
const CHOICE: u64 = 1800;
/// The bytes of a function after which the translation of types is shared.
const LONGEST: u64 = 800_000;

/// The memory that translations take, by type.
#[derive(Debug, Default)]
pub(super) struct Translations(HashMap<ComponentDefinedTypeId, u64>);

impl Translations {
    /// Returns the bytes of memory for the translation of the parameters and the result of a function of the component
    /// that is being read.
    pub(super) fn of_function(&mut self, index: u32, types: TypesRef<'_>) -> u64 {
        let function = &types[types.component_function_at(index)];
        let values = function.params.iter().map(|(_, value)| *value);
        let values = values.chain(function.result);
        self.sum(values, types).min(LONGEST)
    }

    fn sum(
        &mut self,
        values: impl IntoIterator<Item = ComponentValType>,
        types: TypesRef<'_>,
    ) -> u64 {
        values.into_iter().fold(0, |sum: u64, value| {
            sum.saturating_add(self.of_value(value, types))
        })
    }

    fn of_value(&mut self, value: ComponentValType, types: TypesRef<'_>) -> u64 {
        let id = match value {
            ComponentValType::Primitive(kind) => return of_primitive(kind),
            ComponentValType::Type(id) => id,
        };
        if let Some(&known) = self.0.get(&id) {
            return known;
        }
        // The validator limits how deep types are nested.
        let bytes = self.of_type(&types[id], types);
        self.0.insert(id, bytes);
        bytes
    }

    fn of_type(&mut self, ty: &ComponentDefinedType, types: TypesRef<'_>) -> u64 {
        match ty {
            ComponentDefinedType::Primitive(kind) => of_primitive(*kind),
            ComponentDefinedType::Record(record) => {
                self.sum(record.fields.values().copied(), types)
            }
            ComponentDefinedType::Tuple(tuple) => self.sum(tuple.types.iter().copied(), types),
            ComponentDefinedType::Variant(variant) => {
                let cases = scalars(variant.cases.len());
                let values = variant.cases.values().filter_map(|case| case.ty);
                CHOICE
                    .saturating_add(cases)
                    .saturating_add(self.sum(values, types))
            }
            ComponentDefinedType::Option { ty, .. } => {
                CHOICE.saturating_add(self.of_value(*ty, types))
            }
            ComponentDefinedType::Result { ok, err, .. } => {
                CHOICE.saturating_add(self.sum(ok.iter().chain(err).copied(), types))
            }
            ComponentDefinedType::List { element, .. } => {
                LIST.saturating_add(self.of_value(*element, types))
            }
            ComponentDefinedType::Map { key, value, .. } => {
                LIST.saturating_add(self.sum([*key, *value], types))
            }
            ComponentDefinedType::FixedLengthList {
                element, length, ..
            } => {
                let elements = self.of_value(*element, types);
                LIST.saturating_add(elements.saturating_mul(u64::from(*length)))
            }
            ComponentDefinedType::Flags(names) | ComponentDefinedType::Enum(names) => {
                scalars(names.len())
            }
            ComponentDefinedType::Own(_)
            | ComponentDefinedType::Borrow(_)
            | ComponentDefinedType::Future { .. }
            | ComponentDefinedType::Stream { .. } => CHOICE,
        }
    }
}

fn of_primitive(kind: PrimitiveValType) -> u64 {
    match kind {
        PrimitiveValType::Char => CHARACTER,
        PrimitiveValType::String | PrimitiveValType::ErrorContext => STRING,
        _ => SCALAR,
    }
}

fn scalars(count: usize) -> u64 {
    SCALAR.saturating_mul(count as u64)
}
