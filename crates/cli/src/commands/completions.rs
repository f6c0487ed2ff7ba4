//! `krt completions`: prints a completion script for a shell.

use crate::{args, error::Result, exit, output};
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use std::process::ExitCode;

/// The arguments of `krt completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
To install them, for new shells:
  bash        krt completions bash > ~/.local/share/bash-completion/completions/krt
  zsh         krt completions zsh > ~/.zfunc/_krt
              with `fpath+=~/.zfunc` before `compinit` in ~/.zshrc
  fish        krt completions fish > ~/.config/fish/completions/krt.fish
  elvish      krt completions elvish >> ~/.config/elvish/rc.elv
  powershell  krt completions powershell >> $PROFILE")]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script.
pub(crate) fn execute(args: &CompletionsArgs) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut args::Args::command(), "krt", &mut script);
    output::print(String::from_utf8(script)?.trim_end())?;
    Ok(exit::SUCCESS)
}
