//! Reads the source of a crate into its modules.

use crate::{
    module::{Id, Module, ROOT},
    references::{self, Visitor},
};
use anyhow::{Context, Result};
use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    rc::Rc,
};
use syn::{Item, visit::Visit};

/// Reads the modules below the file of a root, such as `src/lib.rs`.
pub(crate) fn parse(root: &Path) -> Result<Vec<Module>> {
    let mut parser = Parser { modules: Vec::new() };
    parser.add("crate", None, false);
    let folder = root.parent().context("a root is in a folder")?;
    parser.file(ROOT, root, folder)?;
    Ok(parser.modules)
}

struct Parser {
    modules: Vec<Module>,
}

impl Parser {
    fn add(&mut self, name: &str, parent: Option<Id>, test: bool) -> Id {
        let id = self.modules.len();
        self.modules.push(Module {
            name: name.to_owned(),
            parent,
            test,
            children: HashMap::new(),
            items: HashSet::new(),
            imports: Vec::new(),
            globs: Vec::new(),
            references: Vec::new(),
        });
        if let Some(parent) = parent {
            self.modules[parent].children.insert(name.to_owned(), id);
        }
        id
    }

    /// Reads a file into its module, whose own modules are in `folder`.
    fn file(&mut self, module: Id, path: &Path, folder: &Path) -> Result<()> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let file = syn::parse_file(&text).with_context(|| format!("cannot parse `{}`", path.display()))?;
        self.items(module, &file.items, &Rc::new(path.to_owned()), folder)
    }

    fn items(&mut self, module: Id, items: &[Item], file: &Rc<PathBuf>, folder: &Path) -> Result<()> {
        for item in items {
            if let Item::Mod(item) = item {
                self.module(module, item, file, folder)?;
            } else {
                self.item(module, item, file);
            }
        }
        Ok(())
    }

    fn module(&mut self, parent: Id, item: &syn::ItemMod, file: &Rc<PathBuf>, folder: &Path) -> Result<()> {
        let name = item.ident.to_string();
        let test = self.modules[parent].test || references::is_test(&item.attrs);
        let id = self.add(&name, Some(parent), test);
        let inner = folder.join(&name);
        match &item.content {
            Some((_, items)) => self.items(id, items, file, &inner),
            None => {
                let files = [folder.join(format!("{name}.rs")), inner.join("mod.rs")];
                let path = files.iter().find(|path| path.exists());
                let path =
                    path.with_context(|| format!("`{}` has no file for `mod {name}`", file.display()))?;
                self.file(id, path, &inner)
            }
        }
    }

    fn item(&mut self, module: Id, item: &Item, file: &Rc<PathBuf>) {
        let module = &mut self.modules[module];
        module.items.extend(references::defined(item));
        let test = module.test || references::attributes(item).is_some_and(references::is_test);
        Visitor { module, file, test }.visit_item(item);
    }
}
