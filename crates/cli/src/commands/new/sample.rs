//! Packages of a kind, in Python: `krt new --template`.

use super::{
    package::{self, create},
    template::{self, File, GIT_IGNORE, SCHEMA, Templates, template},
};
use crate::{error::Result, exit, output};
use clap::{ValueEnum, builder::PossibleValue};
use std::{path::Path, process::ExitCode};

/// A package with several files that belong together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// Its name on the command line.
    id: &'static str,
    /// What it does.
    summary: &'static str,
    /// Its nodes, in words.
    nodes: &'static str,
    /// A call that it answers.
    call: &'static str,
    files: &'static [File],
}

/// The samples, by their names.
static SAMPLES: [Sample; 3] = [CLASSIFIER, ETL, LLM_STREAM];

const CLASSIFIER: Sample = Sample {
    id: "classifier",
    summary: "A trained model that classifies, with its training, its accuracy and its measurements",
    nodes: "the node `model`",
    call: "krt call Classify '{\"weight\": 172, \"width\": 78}'",
    files: &[
        ("krt.yml", template!("classifier/krt.yml")),
        ("public_input.proto", template!("classifier/public_input.proto")),
        ("docs/README.md", template!("classifier/README.md")),
        ("models/classifier.json", template!("classifier/models/classifier.json")),
        ("src/model/main.py", template!("classifier/model/main.py")),
        ("src/model/classifier.py", template!("classifier/model/classifier.py")),
        ("src/model/test_main.py", template!("classifier/model/test_main.py")),
        ("training/fruits.csv", template!("classifier/training/fruits.csv")),
        ("training/train.py", template!("classifier/training/train.py")),
        GIT_IGNORE,
        SCHEMA,
    ],
};

const ETL: Sample = Sample {
    id: "etl",
    summary: "Three nodes with plain data, which parse, convert and store tables",
    nodes: "the nodes `parse`, `convert` and `store`",
    call: "krt call Load '{\"csv\": \"id,day,amount\\na1,2024-02-01,9.5\"}'",
    files: &[
        ("krt.yml", template!("etl/krt.yml")),
        ("public_input.proto", template!("etl/public_input.proto")),
        ("docs/README.md", template!("etl/README.md")),
        ("src/parse/main.py", template!("etl/parse/main.py")),
        ("src/parse/test_main.py", template!("etl/parse/test_main.py")),
        ("src/convert/main.py", template!("etl/convert/main.py")),
        ("src/convert/test_main.py", template!("etl/convert/test_main.py")),
        ("src/store/main.py", template!("etl/store/main.py")),
        ("src/store/test_main.py", template!("etl/store/test_main.py")),
        GIT_IGNORE,
        SCHEMA,
    ],
};

const LLM_STREAM: Sample = Sample {
    id: "llm-stream",
    summary: "A node that streams tokens, with a small generator in place of a language model",
    nodes: "the node `model`",
    call: "krt call Generate '{\"text\": \"The boat\"}'",
    files: &[
        ("krt.yml", template!("llm-stream/krt.yml")),
        ("public_input.proto", template!("llm-stream/public_input.proto")),
        ("docs/README.md", template!("llm-stream/README.md")),
        ("models/corpus.txt", template!("llm-stream/models/corpus.txt")),
        ("src/model/main.py", template!("llm-stream/model/main.py")),
        ("src/model/generator.py", template!("llm-stream/model/generator.py")),
        ("src/model/test_main.py", template!("llm-stream/model/test_main.py")),
        GIT_IGNORE,
        SCHEMA,
    ],
};

impl Sample {
    /// Creates the package, and prints the next steps.
    pub(super) fn make(&self, folder: &Path) -> Result<ExitCode> {
        let values = |name: &str| package::values(name, Templates::default(), false);
        let new = create(folder, |staging, name| template::write(staging, self.files, &values(name)))?;
        let steps = [
            ("krt run .", "serve it"),
            (self.call, "call it, from another terminal"),
            ("krt test", "run its tests"),
        ];
        output::print(&new.next_steps(&format!("{} in Python", self.nodes), &steps))?;
        Ok(exit::SUCCESS)
    }
}

impl ValueEnum for Sample {
    fn value_variants<'a>() -> &'a [Self] {
        &SAMPLES
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.id).help(self.summary))
    }
}
