//! Paths within the tokens of a macro invocation.
//!
//! A macro may give its tokens any meaning, but names joined by `::` are a path in every macro that this repository uses.

use proc_macro2::{Ident, Spacing, TokenStream, TokenTree};
use syn::ext::IdentExt as _;

use super::facts::{Mention, Path};

/// Returns every path of two or more names.
///
/// Paths that begin with `::` or with a variable of `macro_rules!` are left out: they name no module of the crate.
pub(super) fn paths(tokens: TokenStream) -> Vec<Mention> {
    let mut found = Vec::new();
    collect(tokens, &mut found);
    found
}

fn collect(tokens: TokenStream, found: &mut Vec<Mention>) {
    let trees: Vec<_> = tokens.into_iter().collect();
    let mut rest = trees.as_slice();
    let mut may_begin = true;
    while let Some((tree, after)) = rest.split_first() {
        rest = after;
        match tree {
            TokenTree::Ident(ident) => {
                let (path, after) = path(ident, rest);
                if path.len() > 1 && (may_begin || ident == "crate") {
                    found.push(Mention { path, line: ident.span().start().line });
                }
                rest = after;
                may_begin = true;
            }
            TokenTree::Group(group) => {
                collect(group.stream(), found);
                may_begin = true;
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' => {
                let is_separator = punct.spacing() == Spacing::Joint && is_colon(rest.first());
                rest = if is_separator { &rest[1..] } else { rest };
                may_begin = !is_separator;
            }
            TokenTree::Punct(punct) => may_begin = punct.as_char() != '$',
            TokenTree::Literal(_) => may_begin = true,
        }
    }
}

/// Reads the path that begins with this name. Returns the path and the tokens after it.
fn path<'t>(first: &Ident, mut rest: &'t [TokenTree]) -> (Path, &'t [TokenTree]) {
    let mut path = vec![first.unraw().to_string()];
    while let [colon, second, TokenTree::Ident(name), after @ ..] = rest
        && is_colon(Some(colon))
        && is_colon(Some(second))
    {
        path.push(name.unraw().to_string());
        rest = after;
    }
    (path, rest)
}

fn is_colon(tree: Option<&TokenTree>) -> bool {
    matches!(tree, Some(TokenTree::Punct(punct)) if punct.as_char() == ':')
}
