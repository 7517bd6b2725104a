//! Stubs for WASI preview 1.
//!
//! Some languages start their runtime through these functions, even if the plugin needs no operating system. Each
//! imported function is replaced by a stub. The stubs behave as an empty system: there are no arguments, no environment
//! and no open files, the clock does not advance, and random bytes are zeros. Output is discarded.

use wasm_encoder::{
    BlockType, CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection,
    ImportSection, MemArg, MemoryType, Module, TypeSection, ValType,
};
use wasmparser::{Parser, Payload, TypeRef};

use super::ComponentError;

type Result<T> = std::result::Result<T, ComponentError>;

/// The module name that compilers give these imports.
pub(super) const MODULE: &str = "wasi_snapshot_preview1";

/// Error numbers of WASI preview 1.
const BAD_FILE: i32 = 8;
const NOT_SUPPORTED: i32 = 52;

/// The time of the clock, in nanoseconds: one second. Go's runtime treats zero as a broken clock.
const NOW: i64 = 1_000_000_000;

/// Returns a core module that exports stubs for these functions.
pub(super) fn adapter(imports: &[Import]) -> Vec<u8> {
    let mut types = TypeSection::new();
    let mut functions = FunctionSection::new();
    let mut exports = ExportSection::new();
    let mut code = CodeSection::new();
    for (index, (name, parameters, results)) in (0..).zip(imports) {
        types.ty().function(parameters.clone(), results.clone());
        functions.function(index);
        exports.export(name, ExportKind::Func, index);
        code.function(&body(name, parameters, results));
    }
    let mut memory = ImportSection::new();
    memory.import("env", "memory", EntityType::Memory(MEMORY));
    let mut adapter = Module::new();
    adapter
        .section(&types)
        .section(&memory)
        .section(&functions)
        .section(&exports)
        .section(&code);
    adapter.finish()
}

const MEMORY: MemoryType = MemoryType {
    minimum: 0,
    maximum: None,
    memory64: false,
    shared: false,
    page_size_log2: None,
};

/// A function that a module imports: its name, parameters and results.
pub(super) type Import = (String, Vec<ValType>, Vec<ValType>);

/// Returns the functions of WASI preview 1 that a module imports, with the types that the module declares.
pub(super) fn imports(module: &[u8]) -> Result<Vec<Import>> {
    let mut types = Vec::new();
    let mut found: Vec<Import> = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::TypeSection(section) => {
                for ty in section.into_iter_err_on_gc_types() {
                    types.push(ty?);
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    if import.module != MODULE || found.iter().any(|(name, ..)| name == import.name)
                    {
                        continue;
                    }
                    let TypeRef::Func(index) = import.ty else {
                        return Err(ComponentError::Wasi(import.name.to_owned()));
                    };
                    let Some(ty) = types.get(index as usize) else {
                        return Err(ComponentError::Wasi(import.name.to_owned()));
                    };
                    found.push((
                        import.name.to_owned(),
                        ty.params()
                            .iter()
                            .map(|&ty| value(ty))
                            .collect::<Result<_>>()?,
                        ty.results()
                            .iter()
                            .map(|&ty| value(ty))
                            .collect::<Result<_>>()?,
                    ));
                }
            }
            Payload::CodeSectionStart { .. } => break,
            _ => {}
        }
    }
    Ok(found)
}

fn value(ty: wasmparser::ValType) -> Result<ValType> {
    Ok(match ty {
        wasmparser::ValType::I32 => ValType::I32,
        wasmparser::ValType::I64 => ValType::I64,
        other => return Err(ComponentError::Wasi(format!("a function of {other}"))),
    })
}

fn body(name: &str, parameters: &[ValType], results: &[ValType]) -> Function {
    use ValType::{I32, I64};
    let function = match (name, parameters) {
        ("args_sizes_get" | "environ_sizes_get", [I32, I32]) => two_zeros(),
        ("args_get" | "environ_get" | "sched_yield", _) => answer(0),
        ("clock_time_get", [I32, I64, I32]) => time(2),
        ("clock_res_get", [I32, I32]) => time(1),
        ("fd_write", [I32, I32, I32, I32]) => write(),
        ("random_get", [I32, I32]) => zeros(),
        _ if results != [I32] => trap(),
        _ if name.starts_with("fd_") || name.starts_with("path_") => answer(BAD_FILE),
        _ => answer(NOT_SUPPORTED),
    };
    if matches!(results, [] | [I32]) {
        function
    } else {
        trap()
    }
}

fn function(locals: u32, write: impl FnOnce(&mut wasm_encoder::InstructionSink<'_>)) -> Function {
    let mut function = Function::new([(locals, ValType::I32)]);
    let mut code = function.instructions();
    write(&mut code);
    code.end();
    function
}

fn at(align: u32) -> MemArg {
    MemArg {
        offset: 0,
        align,
        memory_index: 0,
    }
}

fn trap() -> Function {
    function(0, |code| {
        code.unreachable();
    })
}

fn answer(error: i32) -> Function {
    function(0, |code| {
        code.i32_const(error);
    })
}

/// Writes zero to both parameters, which are addresses: of the number of entries, and of their size in bytes.
fn two_zeros() -> Function {
    function(0, |code| {
        code.local_get(0).i32_const(0).i32_store(at(2));
        code.local_get(1).i32_const(0).i32_store(at(2));
        code.i32_const(0);
    })
}

fn time(out: u32) -> Function {
    function(0, |code| {
        code.local_get(out)
            .i64_const(NOW)
            .i64_store(at(3))
            .i32_const(0);
    })
}

fn zeros() -> Function {
    function(0, |code| {
        code.local_get(0)
            .i32_const(0)
            .local_get(1)
            .memory_fill(0)
            .i32_const(0);
    })
}

/// Reports all bytes as written. The number is the sum of the lengths of the pieces. Each piece is an address and a
/// length of four bytes each.
fn write() -> Function {
    const PIECE: u32 = 1;
    const PIECES_LEFT: u32 = 2;
    const OUT: u32 = 3;
    const SUM: u32 = 4;
    function(1, |code| {
        code.block(BlockType::Empty).loop_(BlockType::Empty);
        code.local_get(PIECES_LEFT).i32_eqz().br_if(1);
        code.local_get(SUM)
            .local_get(PIECE)
            .i32_load(MemArg { offset: 4, ..at(2) });
        code.i32_add().local_set(SUM);
        code.local_get(PIECE)
            .i32_const(8)
            .i32_add()
            .local_set(PIECE);
        code.local_get(PIECES_LEFT)
            .i32_const(1)
            .i32_sub()
            .local_set(PIECES_LEFT);
        code.br(0).end().end();
        code.local_get(OUT)
            .local_get(SUM)
            .i32_store(at(2))
            .i32_const(0);
    })
}

#[cfg(test)]
mod tests {
    use wasmparser::Validator;

    use super::*;

    #[test]
    fn every_function_gets_a_valid_stub() {
        use ValType::{I32, I64};
        let import = |name: &str, parameters: &[ValType], results: &[ValType]| {
            (name.to_owned(), parameters.to_vec(), results.to_vec())
        };
        let imports = [
            import("args_sizes_get", &[I32; 2], &[I32]),
            import("args_get", &[I32; 2], &[I32]),
            import("clock_time_get", &[I32, I64, I32], &[I32]),
            import("fd_write", &[I32; 4], &[I32]),
            import("fd_read", &[I32; 4], &[I32]),
            import("random_get", &[I32; 2], &[I32]),
            import("poll_oneoff", &[I32; 4], &[I32]),
            import("proc_exit", &[I32], &[]),
            // The type is not that of WASI, but the stub must be valid.
            import("clock_time_get", &[I64], &[I64]),
        ];
        for import in imports {
            let adapter = adapter(std::slice::from_ref(&import));
            Validator::new().validate_all(&adapter).unwrap();
            // The stub has the name of the import.
            let mut exported = Vec::new();
            for payload in Parser::new(0).parse_all(&adapter) {
                if let Payload::ExportSection(exports) = payload.unwrap() {
                    exported.extend(exports.into_iter().map(|export| export.unwrap().name));
                }
            }
            assert_eq!(exported, [import.0.as_str()]);
        }
    }
}
