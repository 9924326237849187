//! Filters that trap on purpose: copies of a Wasm module in which one callback fails at one of its calls.

use anyhow::{Context as _, Result};
use wasm_encoder::{
    CodeSection, ConstExpr, Encode as _, GlobalSection, GlobalType, Instruction, Module, RawSection, ValType,
    reencode::{Reencode as _, RoundtripReencoder},
};
use wasmparser::{CodeSectionReader, ExternalKind, FunctionBody, Parser, Payload, TypeRef};

/// Returns a copy of a module whose exported function `export` traps when an instance calls it for the `nth` time.
///
/// The calls are counted in a global variable of the copy. Everything else stays as it is.
pub fn trapping(original: &[u8], export: &str, nth: i32) -> Result<Vec<u8>> {
    let place = Place::of(original, export)?;
    let mut copy = Module::new();
    for payload in Parser::new(0).parse_all(original) {
        match payload? {
            Payload::GlobalSection(section) => {
                let mut globals = GlobalSection::new();
                RoundtripReencoder.parse_global_section(&mut globals, section)?;
                let counter = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
                copy.section(globals.global(counter, &ConstExpr::i32_const(0)));
            }
            Payload::CodeSectionStart { range, .. } => {
                let range = usize::try_from(range.start)?..usize::try_from(range.end)?;
                let data = original.get(range.clone()).context("the code is in its module")?;
                copy.section(&place.code(original, data, range.start, nth)?);
            }
            Payload::CodeSectionEntry(_) => {}
            payload => {
                if let Some((id, range)) = payload.as_section() {
                    let range = usize::try_from(range.start)?..usize::try_from(range.end)?;
                    let data = original.get(range).context("a section is in its module")?;
                    copy.section(&RawSection { id, data });
                }
            }
        }
    }
    Ok(copy.finish())
}

/// The function that is to trap, and the global that counts its calls.
struct Place {
    /// The index among the functions that have a body.
    body: u32,
    counter: u32,
}

impl Place {
    fn of(module: &[u8], export: &str) -> Result<Self> {
        let (mut imported, mut globals, mut function) = (0, None, None);
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        imported += u32::from(matches!(import?.ty, TypeRef::Func(_)));
                    }
                }
                Payload::GlobalSection(section) => globals = Some(section.count()),
                Payload::ExportSection(section) => {
                    for each in section {
                        let each = each?;
                        if each.name == export && each.kind == ExternalKind::Func {
                            function = Some(each.index);
                        }
                    }
                }
                _ => {}
            }
        }
        let function = function.with_context(|| format!("nothing is exported as `{export}`"))?;
        let body = function.checked_sub(imported).context("the export is an import")?;
        Ok(Self { body, counter: globals.context("the module has no globals")? })
    }

    fn code(&self, module: &[u8], section: &[u8], offset: usize, nth: i32) -> Result<CodeSection> {
        let reader = wasmparser::BinaryReader::new(section, u64::try_from(offset)?);
        let mut code = CodeSection::new();
        for (index, body) in (0..).zip(CodeSectionReader::new(reader)?) {
            let body = body?;
            let part = |range: std::ops::Range<u64>| -> Result<&[u8]> {
                let range = usize::try_from(range.start)?..usize::try_from(range.end)?;
                module.get(range).context("a body is in its module")
            };
            if index == self.body {
                code.raw(&self.trapping(&body, part, nth)?);
            } else {
                code.raw(part(body.range())?);
            }
        }
        Ok(code)
    }

    /// Returns a body that counts first, and traps at the number.
    fn trapping<'m>(
        &self,
        body: &FunctionBody<'_>,
        part: impl Fn(std::ops::Range<u64>) -> Result<&'m [u8]>,
        nth: i32,
    ) -> Result<Vec<u8>> {
        let begin = body.get_operators_reader()?.original_position();
        let mut bytes = part(body.range().start..begin)?.to_vec();
        for instruction in [
            Instruction::GlobalGet(self.counter),
            Instruction::I32Const(1),
            Instruction::I32Add,
            Instruction::GlobalSet(self.counter),
            Instruction::GlobalGet(self.counter),
            Instruction::I32Const(nth),
            Instruction::I32Eq,
            Instruction::If(wasm_encoder::BlockType::Empty),
            Instruction::Unreachable,
            Instruction::End,
        ] {
            instruction.encode(&mut bytes);
        }
        bytes.extend_from_slice(part(begin..body.range().end)?);
        Ok(bytes)
    }
}
