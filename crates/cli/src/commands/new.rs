//! `krt new`: creates a package, or adds a node to one.

mod node;
mod notebook;
mod package;
mod sample;
mod template;

use crate::error::{Result, bail};
use clap::{Args, Subcommand};
use krt_environment::PythonChoice;
use sample::Sample;
use std::{path::PathBuf, process::ExitCode};
use template::Templates;

/// The arguments of `krt new`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "\
Examples:
  krt new shop                       a package in the folder `shop`, with one node in Python
  krt new shop --lang go             the same in Go
  krt new fruits --template classifier
                                     a package with a trained model
  krt new writer --template llm-stream
                                     a package that streams tokens
  krt new houses --from houses.ipynb a package from a notebook
  krt new node checker --lang rust   one more node for the package in this folder"
)]
pub(crate) struct NewArgs {
    #[command(subcommand)]
    what: Option<NewCommand>,

    /// Folder to create; its name becomes the package's name
    #[arg(required = true)]
    name: Option<PathBuf>,

    /// Language of its node
    #[arg(long = "lang", value_name = "LANGUAGE", value_enum, default_value_t)]
    templates: Templates,

    /// Kind of package, in Python [default: one node that greets]
    #[arg(long = "template", value_name = "TEMPLATE", value_enum, conflicts_with_all = ["templates", "from"])]
    sample: Option<Sample>,

    /// Notebook to make the node from: its cells that are tagged `init` and `handler`, or that define these
    /// functions, with the imports, functions and constants that they use
    #[arg(long, value_name = "NOTEBOOK", conflicts_with = "templates")]
    from: Option<PathBuf>,

    /// The Python with the notebook's packages, whose versions become the node's requirements
    #[arg(long, value_name = "PYTHON", env = "KRT_PYTHON", requires = "from")]
    python: Option<PythonChoice>,
}

#[derive(Debug, Subcommand)]
enum NewCommand {
    /// Add a node to a package, at the end of a workflow
    Node(NodeArgs),
}

/// The arguments of `krt new node`.
#[derive(Debug, Args)]
#[command(after_help = "\
The new node returns its message unchanged until you edit it. The command adds a few lines to
krt.yml and changes nothing else in it.")]
struct NodeArgs {
    /// The node's name
    name: String,

    /// Language of the node
    #[arg(long = "lang", value_name = "LANGUAGE", value_enum, default_value_t)]
    templates: Templates,

    /// The package's folder
    #[arg(long, value_name = "DIR", default_value = ".")]
    package: PathBuf,

    /// Workflow to append the node to [default: the only one]
    #[arg(long)]
    workflow: Option<String>,
}

/// Creates the package or node, and prints the next steps.
pub(crate) fn execute(args: &NewArgs) -> Result<ExitCode> {
    match (&args.what, &args.name) {
        (Some(NewCommand::Node(args)), _) => node::add(args),
        (None, Some(folder)) => match (&args.from, args.sample) {
            (Some(notebook), _) => notebook::convert(folder, notebook, args.python.clone()),
            (None, Some(sample)) => sample.make(folder),
            (None, None) => package::make(folder, args.templates),
        },
        (None, None) => bail!("name the package"; hint: "krt new shop"),
    }
}
