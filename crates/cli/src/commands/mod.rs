//! One file a command.

pub(crate) mod call;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod data;
pub(crate) mod dead;
pub(crate) mod entrypoint;
pub(crate) mod env;
pub(crate) mod login;
pub(crate) mod new;
pub(crate) mod node;
pub(crate) mod pack;
pub(crate) mod proto;
pub(crate) mod run;
pub(crate) mod runtime;
pub(crate) mod serve;
pub(crate) mod test;
pub(crate) mod token;
pub(crate) mod unpack;
pub(crate) mod user;
pub(crate) mod version;

use crate::args::{Args, Command};
use std::process::ExitCode;

/// Executes what was typed.
pub(crate) fn execute(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Run(args) => run::execute(&args),
        Command::Serve(args) => serve::execute(args),
        Command::Login(args) => login::sign_in(args),
        Command::Logout(args) => login::sign_out(&args),
        Command::Runtime(args) => runtime::execute(&args),
        Command::Version(args) => version::execute(&args),
        Command::User(args) => user::execute(&args),
        Command::Token(args) => token::execute(&args),
        Command::Entrypoint(args) => entrypoint::execute(&args),
        Command::Node(args) => node::execute(&args),
        Command::Env(args) => env::execute(&args),
        Command::Dead(args) => dead::execute(&args),
        Command::Call(args) => call::execute(&args),
        Command::Check(args) => check::execute(&args),
        Command::New(args) => new::execute(&args),
        Command::Test(args) => test::execute(&args),
        Command::Proto(args) => proto::execute(&args),
        Command::Pack(args) => pack::execute(args),
        Command::Unpack(args) => unpack::execute(args),
        Command::Data(args) => data::execute(&args),
        Command::Completions(args) => completions::execute(&args),
    }
}
