use std::ops::Range;

use wasm_encoder::{
    BlockType, CodeSection, Component, ComponentInstanceSection, Function, FunctionSection,
    InstanceSection, Instruction, MemorySection, MemoryType, Module, ModuleSection,
    NestedComponentSection, RefType, TableSection, TableType, TypeSection, ValType,
};

use super::super::super::error::LoadError;
use super::super::inspect;
use super::super::instances::Instances;
use super::*;

/// A component with one module of these functions. Each function has these locals and the type `fn(params) -> results`.
fn component(
    (params, results): (usize, usize),
    locals: u32,
    functions: usize,
    body: &[Instruction<'_>],
) -> Vec<u8> {
    let mut types = TypeSection::new();
    types
        .ty()
        .function(vec![ValType::I32; params], vec![ValType::I32; results]);
    let (mut declared, mut code) = (FunctionSection::new(), CodeSection::new());
    for _ in 0..functions {
        declared.function(0);
        let mut function = Function::new([(locals, ValType::I32)]);
        for instruction in body {
            function.instruction(instruction);
        }
        function.instruction(&Instruction::End);
        code.function(&function);
    }
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut module = Module::new();
    module
        .section(&types)
        .section(&declared)
        .section(&memories)
        .section(&code);
    of_module(&module)
}

fn of_module(module: &Module) -> Vec<u8> {
    let mut component = Component::new();
    component.section(&ModuleSection(module));
    component.finish()
}

/// The estimated cost of compiling a file. The file is not refused, and its world does not matter here.
fn cost(bytes: &[u8]) -> CompileCost {
    let mut validator = wasmparser::Validator::new();
    let mut model = CostModel::default();
    let mut instances = Instances::default();
    for payload in wasmparser::Parser::new(0).parse_all(bytes) {
        let payload = payload.unwrap();
        if let wasmparser::ValidPayload::Func(function, body) = validator.payload(&payload).unwrap()
        {
            model.add_function(function, &body).unwrap();
        }
        model.add_section(&payload).unwrap();
        instances.add(&payload, validator.types(0)).unwrap();
    }
    model.total(bytes.len(), instances.total())
}

fn is_refused(bytes: &[u8]) -> bool {
    matches!(cost(bytes).check(), Err(LoadError::TooCostly { .. }))
}

/// Adds one to each of these locals.
fn count_up(locals: Range<u32>) -> Vec<Instruction<'static>> {
    let one = |local| {
        [
            Instruction::LocalGet(local),
            Instruction::I32Const(1),
            Instruction::I32Add,
            Instruction::LocalSet(local),
        ]
    };
    locals.flat_map(one).collect()
}

/// Loops, one after the other, each of which changes one of the locals and repeats while it is not zero.
fn loops(locals: u32, loops: u32) -> Vec<Instruction<'static>> {
    let one = |number| {
        let local = number % locals;
        let mut body = vec![Instruction::Loop(BlockType::Empty)];
        body.extend(count_up(local..local + 1));
        body.extend([
            Instruction::LocalGet(local),
            Instruction::BrIf(0),
            Instruction::End,
        ]);
        body
    };
    (0..loops).flat_map(one).collect()
}

/// Nested loops, with a jump table to them inside the innermost loop.
fn nested(locals: u32, depth: u32, targets: u32) -> Vec<Instruction<'static>> {
    let mut body = vec![Instruction::Loop(BlockType::Empty); depth as usize];
    body.extend(count_up(0..locals));
    let targets: Vec<_> = (0..targets).map(|target| target % depth).collect();
    body.extend([
        Instruction::LocalGet(0),
        Instruction::BrTable(targets.into(), 0),
    ]);
    body.extend(vec![Instruction::End; depth as usize]);
    body
}

#[test]
fn what_would_take_hundreds_of_megabytes_is_refused() {
    let calls = |number| {
        let values = (0..1000).map(Instruction::LocalGet);
        values
            .chain(vec![Instruction::Call(0); number])
            .collect::<Vec<_>>()
    };
    let ifs = |number: u32| {
        let one = |number| {
            let local = number % 1000;
            let mut body = vec![
                Instruction::LocalGet(local),
                Instruction::If(BlockType::Empty),
            ];
            body.extend(count_up(local..local + 1));
            body.push(Instruction::End);
            body
        };
        (0..number).flat_map(one).collect::<Vec<_>>()
    };
    let operands = {
        let values = vec![Instruction::I32Const(1); 2000];
        values
            .into_iter()
            .chain(loops(1, 2000))
            .chain(vec![Instruction::Drop; 2000])
    };
    for (what, bytes) in [
        (
            "locals in loops",
            component((0, 0), 1000, 1, &loops(1000, 1000)),
        ),
        (
            "parameters in loops",
            component((1000, 0), 0, 1, &loops(1000, 1000)),
        ),
        (
            "operands over loops",
            component((0, 0), 1, 1, &operands.collect::<Vec<_>>()),
        ),
        ("locals in branches", component((0, 0), 1000, 1, &ifs(4000))),
        (
            "loops in loops",
            component((0, 0), 500, 1, &nested(500, 500, 1)),
        ),
        (
            "a jump table",
            component((0, 0), 500, 1, &nested(500, 1, 2000)),
        ),
        (
            "a jump table to loops",
            component((0, 0), 300, 1, &nested(300, 100, 2000)),
        ),
        (
            "calls with many values",
            component((1000, 1000), 0, 1, &calls(1000)),
        ),
        ("many functions", component((0, 0), 0, 50_000, &[])),
        (
            "locals that are not used",
            component((0, 0), 50_000, 100, &[]),
        ),
    ] {
        assert!(is_refused(&bytes), "{what}: {:?}", cost(&bytes));
    }
}

#[test]
fn what_real_code_has_is_not_refused() {
    // The largest function of `js-component-bindgen` has loops in loops 16 deep, and SpiderMonkey's has 392 loops over
    // 122 locals; here each function is alone, so the file is small.
    for (what, bytes) in [
        ("nothing", component((0, 0), 0, 1, &[])),
        ("SpiderMonkey", component((0, 0), 122, 1, &loops(122, 392))),
        (
            "nested loops",
            component((0, 0), 40, 1, &nested(40, 16, 300)),
        ),
        (
            "many locals",
            component((0, 0), 5000, 1, &count_up(0..5000)),
        ),
        (
            "many small functions",
            component((0, 0), 2, 2000, &count_up(0..2)),
        ),
    ] {
        assert!(!is_refused(&bytes), "{what}: {:?}", cost(&bytes));
    }
}

#[test]
fn custom_sections_do_not_raise_the_limit() {
    let mut bytes = component((0, 0), 1000, 1, &loops(1000, 1000));
    assert!(is_refused(&bytes));
    let padding = wasm_encoder::CustomSection {
        name: "padding".into(),
        data: vec![0; 4 << 20].into(),
    };
    wasm_encoder::ComponentSection::append_to_component(&padding, &mut bytes);
    assert!(is_refused(&bytes));
}

#[test]
fn a_refusal_names_the_function() {
    let bytes = component((0, 0), 1000, 1, &loops(1000, 1000));
    let why = cost(&bytes).check().unwrap_err().to_string();
    assert!(
        why.contains("function 0") && why.contains("1000 locals") && why.contains("2000 branches"),
        "{why}"
    );
}

#[test]
fn fewer_threads_are_used_where_little_memory_is_left() {
    let cost = cost(&component((0, 0), 122, 1, &loops(122, 392)));
    let one = cost.memory(1);
    assert_eq!(cost.threads(u64::MAX, 2), Some(2));
    assert_eq!(cost.threads(one, 4), Some(1));
    assert_eq!(cost.threads(one - 1, 4), None);
}

#[test]
fn a_table_is_bounded_before_its_elements_are_written_out() {
    let mut tables = TableSection::new();
    tables.table(TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum: 1_000_000,
        maximum: None,
        shared: false,
    });
    let mut module = Module::new();
    module.section(&tables);
    let refused = inspect(&of_module(&module));
    assert!(matches!(
        refused,
        Err(LoadError::TableTooLarge {
            elements: 1_000_000,
            ..
        })
    ));
}

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
