//! What can be typed.

use crate::commands::{
    call::CallArgs,
    check::CheckArgs,
    completions::CompletionsArgs,
    data::DataArgs,
    dead::DeadArgs,
    entrypoint::EntrypointArgs,
    env::EnvArgs,
    login::{LoginArgs, LogoutArgs},
    new::NewArgs,
    node::NodeArgs,
    pack::PackArgs,
    proto::ProtoArgs,
    run::RunArgs,
    runtime::RuntimeArgs,
    serve::ServeArgs,
    test::TestArgs,
    token::TokenArgs,
    unpack::UnpackArgs,
    user::UserArgs,
    version::VersionArgs,
};
use clap::{
    Parser, Subcommand,
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
  krt check .                        report everything that is wrong with a package
  krt data measurements              show what was measured";

/// Run KRT v1 packages: user-written nodes, chained to workflows, behind gRPC and HTTP
#[derive(Debug, Parser)]
#[command(name = "krt", version, styles = STYLES, after_help = EXAMPLES, propagate_version = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a package on this machine
    Run(RunArgs),
    /// Run a team's server: many versions, published and replaced, with users and a dashboard
    Serve(ServeArgs),
    /// Sign in to a server
    Login(LoginArgs),
    /// Sign out of a server
    Logout(LogoutArgs),
    /// List, make, change or remove the runtimes of a server
    Runtime(RuntimeArgs),
    /// Upload, start, publish or roll back the versions of a server, and look at them
    Version(VersionArgs),
    /// List, make, change or remove the users of a server
    User(UserArgs),
    /// List, make or delete tokens, by which programs use a server
    Token(TokenArgs),
    /// Serve gRPC and HTTP for a package whose nodes run elsewhere
    Entrypoint(EntrypointArgs),
    /// Run some nodes of a package, for entrypoints elsewhere
    Node(NodeArgs),
    /// Print the environment variables with which another runner of KRT v1 stands for a node
    Env(EnvArgs),
    /// Show messages that were given up, try them again, or drop them
    Dead(DeadArgs),
    /// Call an RPC with JSON
    Call(CallArgs),
    /// Make a package that runs, or add a node to one
    New(NewArgs),
    /// Run the tests of a package's nodes
    Test(TestArgs),
    /// Write types of a package's messages, for editors and for Go
    Proto(ProtoArgs),
    /// Report everything that is wrong with a package
    Check(CheckArgs),
    /// Pack a folder to a .krt file
    Pack(PackArgs),
    /// Unpack a .krt file to a folder
    Unpack(UnpackArgs),
    /// Show or export measurements, documents, predictions and logs
    Data(DataArgs),
    /// Print what makes a shell complete the command
    Completions(CompletionsArgs),
}
