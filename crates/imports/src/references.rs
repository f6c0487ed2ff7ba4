//! Collects the paths in an item, and the names that it defines or imports.

use crate::module::{Import, Module, Reference};
use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens as _;
use std::{path::PathBuf, rc::Rc};
use syn::{Attribute, Item, UseTree, spanned::Spanned, visit::Visit};

/// The name that an item defines, if it has one.
pub(crate) fn defined(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

/// The attributes of an item that has some.
pub(crate) fn attributes(item: &Item) -> Option<&[Attribute]> {
    Some(match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => return None,
    })
}

/// Whether a condition leaves the item to tests.
pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    let condition = |attribute: &Attribute| attribute.meta.to_token_stream().to_string().replace(' ', "");
    attributes.iter().any(|attribute| {
        let condition = condition(attribute);
        condition == "test" || condition == "cfg(test)" || condition.starts_with("cfg(all(test,")
    })
}

/// Adds what it meets to a module.
pub(crate) struct Visitor<'a> {
    pub(crate) module: &'a mut Module,
    pub(crate) file: &'a Rc<PathBuf>,
    pub(crate) test: bool,
}

impl Visitor<'_> {
    fn refer(&mut self, path: Vec<String>, span: Span) {
        let line = span.start().line;
        self.module.references.push(Reference { path, file: Rc::clone(self.file), line, test: self.test });
    }

    fn import(&mut self, prefix: &[String], tree: &UseTree) {
        let joined = |name: &syn::Ident| [prefix, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.import(&joined(&path.ident), &path.tree),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.import(prefix, tree)),
            UseTree::Glob(glob) => {
                self.refer(prefix.to_vec(), glob.span());
                self.module.globs.push(prefix.to_vec());
            }
            UseTree::Name(name) => self.import_as(prefix, &name.ident, &name.ident),
            UseTree::Rename(rename) => self.import_as(prefix, &rename.ident, &rename.rename),
        }
    }

    fn import_as(&mut self, prefix: &[String], ident: &syn::Ident, alias: &syn::Ident) {
        let itself = ident == "self";
        let path = if itself { prefix.to_vec() } else { [prefix, &[ident.to_string()]].concat() };
        let name = if itself && alias == "self" { prefix.last().cloned() } else { Some(alias.to_string()) };
        self.refer(path.clone(), ident.span());
        self.module.imports.extend(name.map(|name| Import { name, path }));
    }

    /// Finds paths among the tokens of a macro, which has no syntax of its own.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut rest = tokens.as_slice();
        while let Some((token, after)) = rest.split_first() {
            rest = after;
            match token {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(ident) => {
                    let mut path = vec![ident.to_string()];
                    while let [
                        TokenTree::Punct(one),
                        TokenTree::Punct(two),
                        TokenTree::Ident(next),
                        after @ ..,
                    ] = rest
                        && (one.as_char(), two.as_char()) == (':', ':')
                    {
                        path.push(next.to_string());
                        rest = after;
                    }
                    self.refer(path, ident.span());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }

    /// Finds paths in the texts of an attribute, such as `#[serde(with = "crate::transfer")]`.
    fn texts(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.texts(group.stream()),
                TokenTree::Literal(literal) => {
                    let text = syn::parse_str::<syn::LitStr>(&literal.to_string());
                    if let Some(path) = text.ok().and_then(|text| text.parse::<syn::Path>().ok()) {
                        self.refer(segments(&path), literal.span());
                    }
                }
                TokenTree::Ident(_) | TokenTree::Punct(_) => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Visitor<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let before = self.test;
        self.test |= attributes(item).is_some_and(is_test);
        syn::visit::visit_item(self, item);
        self.test = before;
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.import(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.refer(segments(path), path.span());
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.tokens(call.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if attribute.path().is_ident("doc") {
            return;
        }
        self.visit_path(attribute.path());
        if let syn::Meta::List(list) = &attribute.meta {
            self.texts(list.tokens.clone());
            self.tokens(list.tokens.clone());
        }
    }
}

fn segments(path: &syn::Path) -> Vec<String> {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}
