//! The commands, one file each.

pub(crate) mod backup;
pub(crate) mod bench;
pub(crate) mod call;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod data;
pub(crate) mod dead;
pub(crate) mod doctor;
pub(crate) mod entrypoint;
pub(crate) mod env;
pub(crate) mod guard;
pub(crate) mod login;
pub(crate) mod man;
pub(crate) mod new;
pub(crate) mod node;
pub(crate) mod pack;
pub(crate) mod prepare;
pub(crate) mod proto;
pub(crate) mod restore;
pub(crate) mod run;
pub(crate) mod runtime;
pub(crate) mod schema;
pub(crate) mod serve;
pub(crate) mod size;
pub(crate) mod test;
pub(crate) mod token;
pub(crate) mod unpack;
pub(crate) mod user;
pub(crate) mod version;
pub(crate) mod worker;

use crate::{
    args::{Args, Command},
    error::Result,
};
use std::process::ExitCode;

/// Runs the command.
pub(crate) fn execute(args: Args) -> Result<ExitCode> {
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
        Command::Guard(args) => guard::execute(&args),
        Command::ReadPackage => Ok(krt_reader::run()),
        Command::Prepare(args) => prepare::execute(&args),
        Command::Worker(args) => worker::execute(&args),
        Command::Dead(args) => dead::execute(&args),
        Command::Call(args) => call::execute(&args),
        Command::Check(args) => check::execute(&args),
        Command::Schema(_) => schema::execute(),
        Command::Bench(args) => bench::execute(&args),
        Command::Size(args) => size::execute(&args),
        Command::New(args) => new::execute(&args),
        Command::Test(args) => test::execute(&args),
        Command::Proto(args) => proto::execute(&args),
        Command::Pack(args) => pack::execute(args),
        Command::Unpack(args) => unpack::execute(args),
        Command::Backup(args) => backup::execute(&args),
        Command::Restore(args) => restore::execute(&args),
        Command::Data(args) => data::execute(&args),
        Command::Doctor(args) => doctor::execute(&args),
        Command::Completions(args) => completions::execute(&args),
        Command::Man(args) => man::execute(&args),
    }
}
