//! Reads the facts of a file from its syntax.
//!
//! Attributes and documentation are skipped: a link in a comment is not an import.

use std::mem;

use anyhow::{Result, anyhow};
use syn::{
    Attribute, Block, ImplItemFn, Item, ItemFn, ItemMod, ItemUse, Macro, Signature, TraitItemFn, UseTree,
    Visibility,
    ext::IdentExt as _,
    spanned::Spanned,
    visit::{self, Visit},
};

use super::facts::{Child, Code, FileFacts, Function, Import, Mention, ModuleFacts, Path};
use super::tokens;

/// The beginning of a line comment that gives the reason for a function's length.
const REASON: &str = "// Long:";

/// Reads the facts of a file from its text.
pub(super) fn read(text: &str) -> Result<FileFacts> {
    let file =
        syn::parse_file(text).map_err(|error| anyhow!("line {}: {error}", error.span().start().line))?;
    let lines: Vec<_> = text.lines().collect();
    let mut reader = Reader { lines: &lines, functions: Vec::new(), module: ModuleFacts::default() };
    reader.module(&file.items);
    Ok(FileFacts {
        lines: lines.len(),
        functions: reader.functions,
        code: file.items.iter().filter_map(code).collect(),
        module: reader.module,
    })
}

/// Returns the item as code, `None` for a module declaration or a re-export.
fn code(item: &Item) -> Option<Code> {
    let is_private_use = match item {
        Item::Mod(module) if module.content.is_none() => return None,
        Item::Use(import) if !matches!(import.vis, Visibility::Inherited) => return None,
        item => matches!(item, Item::Use(_)),
    };
    Some(Code { line: line_of(item), is_private_use })
}

fn line_of(node: &impl Spanned) -> usize {
    node.span().start().line
}

struct Reader<'a> {
    lines: &'a [&'a str],
    functions: Vec<Function>,
    module: ModuleFacts,
}

impl Reader<'_> {
    fn module(&mut self, items: &[Item]) {
        for item in items {
            self.module.items.extend(defined(item));
            self.visit_item(item);
        }
    }

    fn import(&mut self, tree: &UseTree, path: &mut Path) {
        match tree {
            UseTree::Path(inner) => {
                path.push(inner.ident.unraw().to_string());
                self.import(&inner.tree, path);
                path.pop();
            }
            UseTree::Name(name) => {
                let name = name.ident.unraw();
                self.import_name(path, &name, &name);
            }
            UseTree::Rename(rename) => self.import_name(path, &rename.ident.unraw(), &rename.rename.unraw()),
            UseTree::Glob(glob) => {
                self.module.globs.push(Mention { path: path.clone(), line: line_of(glob) });
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.import(tree, path)),
        }
    }

    fn import_name(&mut self, path: &[String], taken: &syn::Ident, alias: &syn::Ident) {
        let mut path = path.to_vec();
        // `use a::b::{self}` brings in the module `b`.
        if taken != "self" {
            path.push(taken.to_string());
        }
        let name = if alias == "self" { path.last().cloned() } else { Some(alias.to_string()) };
        let mention = Mention { path, line: line_of(taken) };
        self.module.imports.extend(name.map(|name| Import { name, mention }));
    }

    fn function(&mut self, attributes: &[Attribute], signature: &Signature, body: &Block) {
        let line = line_of(&signature.fn_token);
        let braces = body.brace_token.span;
        let lines = (braces.close().start().line - braces.open().start().line).saturating_sub(1);
        let first = attributes.iter().map(line_of).min().unwrap_or(line);
        let name = signature.ident.to_string();
        self.functions.push(Function { name, line, lines, has_reason: has_reason(self.lines, first, line) });
    }
}

/// Returns true if a line gives a reason: among the function's attributes, or in the comment directly above them.
fn has_reason(lines: &[&str], first: usize, function: usize) -> bool {
    let (above, from) = lines.split_at(first.saturating_sub(1));
    let above = above.iter().rev().take_while(|line| line.trim_start().starts_with("//"));
    let among = from.iter().take(function.saturating_sub(first));
    let mut reasons = above.chain(among).filter_map(|line| line.trim_start().strip_prefix(REASON));
    reasons.any(|reason| !reason.trim().is_empty())
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        let inline = module.content.as_ref().map(|(_, items)| {
            let outer = mem::take(&mut self.module);
            self.module(items);
            mem::replace(&mut self.module, outer)
        });
        // A file of another package, which has rules of its own.
        let is_elsewhere = module.attrs.iter().any(|attribute| attribute.path().is_ident("path"));
        let inline = inline.or(is_elsewhere.then(ModuleFacts::default));
        let (name, line) = (module.ident.unraw().to_string(), line_of(&module.ident));
        self.module.children.push(Child { name, line, inline });
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if item.leading_colon.is_none() {
            self.import(&item.tree, &mut Path::new());
        }
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.function(&item.attrs, &item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.function(&item.attrs, &item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        if let Some(body) = &item.default {
            self.function(&item.attrs, &item.sig, body);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let names = path.segments.iter().map(|segment| segment.ident.unraw().to_string());
            self.module.mentions.push(Mention { path: names.collect(), line: line_of(path) });
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invoked: &'ast Macro) {
        self.visit_path(&invoked.path);
        self.module.mentions.extend(tokens::paths(invoked.tokens.clone()));
    }
}

/// Returns the names that an item defines in its module. Modules and imports are read separately.
fn defined(item: &Item) -> Vec<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => {
            return item.ident.iter().map(|ident| ident.unraw().to_string()).collect();
        }
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return Vec::new(),
    };
    vec![ident.unraw().to_string()]
}
