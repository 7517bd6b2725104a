//! Tests of components that are composed of others.

use wasm_encoder::{
    Component, ComponentInstanceSection, InstanceSection, Module, NestedComponentSection,
};

use super::super::super::super::error::LoadError;
use super::super::super::inspect;
use super::*;

/// A component with a module, inside `levels` levels of components, each of which instantiates the inner one `times`
/// times.
fn levels(levels: usize, times: usize) -> Vec<u8> {
    let mut inner = Component::new();
    inner.section(&ModuleSection(&Module::new()));
    let mut instances = InstanceSection::new();
    instances.instantiate::<_, &str>(0, []);
    inner.section(&instances);
    for _ in 0..levels {
        let mut outer = Component::new();
        outer.section(&NestedComponentSection(&inner));
        let mut instances = ComponentInstanceSection::new();
        for _ in 0..times {
            instances.instantiate::<_, &str>(0, []);
        }
        outer.section(&instances);
        inner = outer;
    }
    inner.finish()
}

#[test]
fn instances_are_counted_through_all_levels() {
    assert!(matches!(
        inspect(&levels(20, 2)),
        Err(LoadError::TooManyInstances { .. })
    ));
    assert!(matches!(
        inspect(&levels(1, 64)),
        Err(LoadError::TooManyInstances { .. })
    ));
    // These have few enough instances, and are refused only for their world.
    assert!(matches!(
        inspect(&levels(4, 2)),
        Err(LoadError::WrongWorld { .. })
    ));
    assert!(matches!(
        inspect(&levels(20, 1)),
        Err(LoadError::WrongWorld { .. })
    ));
}

/// A component that calls each of `functions` functions of each of `libraries` components, inside `doublings` levels of
/// components, each of which instantiates the inner one twice.
fn composed(libraries: usize, functions: usize, doublings: usize) -> Vec<u8> {
    use std::fmt::Write as _;

    let (mut lifted, mut lowered, mut made, mut given) =
        (String::new(), String::new(), String::new(), String::new());
    for function in 0..functions {
        write!(
            lifted,
            r#"(func (export "f{function}") (canon lift (core func $i "f")))"#
        )
        .unwrap();
    }
    for library in 0..libraries {
        write!(made, "(instance $l{library} (instantiate $library))").unwrap();
        for function in 0..functions {
            let name = format!("l{library}f{function}");
            write!(
                lowered,
                r#"(import "{name}" (func ${name})) (core func (canon lower (func ${name})))"#
            )
            .unwrap();
            write!(given, r#"(with "{name}" (func $l{library} "f{function}"))"#).unwrap();
        }
    }
    let mut outer = format!(
        r#"(component $library
            (core module $m (func (export "f"))) (core instance $i (instantiate $m)) {lifted})
        (component $caller {lowered}) {made} (instance (instantiate $caller {given}))"#
    );
    for _ in 0..doublings {
        outer = format!(
            "(component $c {outer}) (instance (instantiate $c)) (instance (instantiate $c))"
        );
    }
    wat::parse_str(format!("(component {outer})")).unwrap()
}

#[test]
fn only_the_functions_that_a_component_calls_in_others_count_as_adapters() {
    for (libraries, functions) in [(1, 60), (6, 4), (10, 10), (20, 12)] {
        let bytes = composed(libraries, functions, 0);
        let cost = cost(&bytes);
        assert_eq!(cost.adapters.count, (libraries * functions) as u64);
        assert!(cost.check().is_ok(), "{cost:?}");
    }
}

#[test]
fn types_are_counted_for_each_instance_that_may_use_them() {
    let fields = (0..500).map(|field| format!(r#"(field "f{field}" u8)"#));
    let record = format!("(type $t (record {}))", fields.collect::<String>());
    let parts = |text: &str| {
        let cost = cost(&wat::parse_str(text).unwrap());
        cost.adapters.memory / ADAPTER_PART
    };
    let once = parts(&format!(
        "(component (component $c {record}) (instance (instantiate $c)))"
    ));
    assert!((500..5000).contains(&once), "{once}");
    let twice = parts(&format!(
        "(component (component $c {record}) (instance (instantiate $c)) (instance (instantiate $c)))"
    ));
    assert_eq!(twice, 2 * once);
    // One of these instances defines the type, and the others take it from outside.
    let aliased = parts(&format!(
        "(component {record} (component $c (alias outer 1 $t (type)))
            (instance (instantiate $c)) (instance (instantiate $c)))"
    ));
    assert_eq!(aliased, 3 * once);
}

#[test]
fn adapters_are_counted_for_each_instance() {
    let bytes = composed(1, 400, 3);
    assert_eq!(cost(&bytes).adapters.count, 8 * 400);
    let why = cost(&bytes).check().unwrap_err().to_string();
    assert!(
        why.contains("adapters between components") && !why.contains("size optimisation"),
        "{why}"
    );
}

/// A component that lowers a function of another one this many times. The function takes twenty strings.
fn lowered(times: usize) -> Vec<u8> {
    let parameters = (0..20).map(|index| format!(r#"(param "p{index}" string)"#));
    let function = format!("(func $f {}", parameters.collect::<String>());
    let lower = r#"(core func (canon lower (func $f) (memory (core memory $i "memory"))))"#;
    let text = format!(
        r#"(component
            (component $library
                (core module $m
                    (memory (export "memory") 1)
                    (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 0)
                    (func (export "f") (param i32)))
                (core instance $i (instantiate $m))
                {function} (canon lift (core func $i "f") (memory (core memory $i "memory"))
                    (realloc (core func $i "realloc"))))
                (export "f" (func $f)))
            (component $caller
                (import "f" {function}))
                (core module $m (memory (export "memory") 1))
                (core instance $i (instantiate $m))
                {lowered})
            (instance $l (instantiate $library))
            (instance (instantiate $caller (with "f" (func $l "f")))))"#,
        lowered = lower.repeat(times),
    );
    wat::parse_str(text).unwrap()
}

#[test]
fn adapters_cost_as_much_as_the_types_of_their_functions() {
    assert!(cost(&lowered(20)).check().is_ok());
    let bytes = lowered(200);
    assert!(bytes.len() < 8000, "{}", bytes.len());
    let why = cost(&bytes).check().unwrap_err().to_string();
    assert!(why.contains("adapters between components"), "{why}");
}
