//! The command line: global arguments and all commands.

use crate::commands::{
    backup::BackupArgs,
    bench::BenchArgs,
    call::CallArgs,
    check::CheckArgs,
    completions::CompletionsArgs,
    data::DataArgs,
    dead::DeadArgs,
    doctor::DoctorArgs,
    entrypoint::EntrypointArgs,
    env::EnvArgs,
    guard::GuardArgs,
    login::{LoginArgs, LogoutArgs},
    man::ManArgs,
    new::NewArgs,
    node::NodeArgs,
    pack::PackArgs,
    prepare::PrepareArgs,
    proto::ProtoArgs,
    restore::RestoreArgs,
    run::RunArgs,
    runtime::RuntimeArgs,
    schema::SchemaArgs,
    serve::ServeArgs,
    size::SizeArgs,
    test::TestArgs,
    token::TokenArgs,
    unpack::UnpackArgs,
    user::UserArgs,
    version::VersionArgs,
    worker::WorkerArgs,
};
use clap::{
    Arg, ArgAction, Parser, Subcommand,
    builder::styling::{AnsiColor, Styles},
};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const EXAMPLES: &str = "\
Examples:
  krt new shop                       make a package in a folder of its own
  krt run .                          run the package in this folder on 127.0.0.1:9000
  krt call Greet '{\"name\": \"Ada\"}'   call an RPC of a running service
  krt check .                        report every problem of a package
  krt data measurements              list the measurements";

/// Run KRT v1 packages: user-written nodes, chained to workflows, behind gRPC and HTTP
#[derive(Debug, Parser)]
#[command(
    name = "krt",
    version,
    styles = STYLES,
    after_help = EXAMPLES,
    propagate_version = true,
    arg = verbose()
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// `krt --version --verbose`. Clap ends at `--version`, and [`about::print`] looks for this.
///
/// [`about::print`]: crate::about::print
fn verbose() -> Arg {
    Arg::new("verbose")
        .long("verbose")
        .action(ArgAction::SetTrue)
        .requires("version")
        .help("With --version: also print the commit, the platform and the features")
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a package on this machine
    Run(RunArgs),
    /// Run a team's server, with versions, users and a dashboard
    Serve(ServeArgs),
    /// Sign in to a server
    Login(LoginArgs),
    /// Sign out of a server
    Logout(LogoutArgs),
    /// List, create, change or delete runtimes of a server
    Runtime(RuntimeArgs),
    /// Upload, start, publish, roll back and inspect versions on a server
    Version(VersionArgs),
    /// List, create, change or delete users of a server
    User(UserArgs),
    /// List, create or delete tokens for programs that use a server
    Token(TokenArgs),
    /// Serve the gRPC and HTTP entrypoint of a package, with its nodes on other machines
    Entrypoint(EntrypointArgs),
    /// Run nodes of a package for entrypoints on other machines
    Node(NodeArgs),
    /// Print the environment variables for another KRT v1 runner to run a node
    Env(EnvArgs),
    /// End a process group when standard input closes
    #[command(hide = true)]
    Guard(GuardArgs),
    /// Read a package for another process, which names it on standard input
    #[command(hide = true, name = krt_reader::COMMAND)]
    ReadPackage,
    /// Make what the nodes of an isolated version run in
    #[command(hide = true)]
    Prepare(PrepareArgs),
    /// Guard one worker, as standard input says
    #[command(hide = true)]
    Worker(WorkerArgs),
    /// List, show, retry or drop dead letters
    Dead(DeadArgs),
    /// Call an RPC with JSON
    Call(CallArgs),
    /// Measure how many requests a service answers, and how fast
    Bench(BenchArgs),
    /// Say how many replicas and machines a package needs
    Size(SizeArgs),
    /// Create a package, or add a node to one
    New(NewArgs),
    /// Run the tests of a package's nodes
    Test(TestArgs),
    /// Generate types of a package's messages for editors and for Go
    Proto(ProtoArgs),
    /// Check a package and report every problem
    Check(CheckArgs),
    /// Print the JSON Schema of krt.yml, for editors
    Schema(SchemaArgs),
    /// Pack a folder into a .krt file
    Pack(PackArgs),
    /// Unpack a .krt file into a folder
    Unpack(UnpackArgs),
    /// Show or export measurements, documents, predictions and logs
    Data(DataArgs),
    /// Back up the data of a server or a service while it runs
    Backup(BackupArgs),
    /// Restore a data folder from a backup
    Restore(RestoreArgs),
    /// Show which programs krt finds on this machine, and what is missing for which use
    Doctor(DoctorArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Write manual pages
    Man(ManArgs),
}
