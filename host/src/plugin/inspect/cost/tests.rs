mod composed;

use std::ops::Range;

use wasm_encoder::{
    BlockType, CodeSection, Component, Function, FunctionSection, Instruction, MemorySection,
    MemoryType, Module, ModuleSection, RefType, TableSection, TableType, TypeSection, ValType,
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
