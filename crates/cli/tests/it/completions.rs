//! Tests of `krt completions`.

use crate::support::{run, run_with};
use std::process::Command;

#[test]
fn every_shell_has_a_script_that_knows_the_commands() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ended = run(["completions", shell]);
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{shell}");
        for word in ["krt", "check", "keep-going"] {
            assert!(ended.stdout.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn bash_completes_with_the_script() {
    let script = run(["completions", "bash"]).stdout;
    let probe = format!(
        "{script}\nCOMP_WORDS=(krt un); COMP_CWORD=1; _krt krt un krt; echo \"${{COMPREPLY[*]}}\"; \
         COMP_WORDS=(krt call --keep-g); COMP_CWORD=2; _krt krt --keep-g call; echo \"${{COMPREPLY[*]}}\""
    );
    // The script exceeds the maximum length of an argument.
    let mut bash = Command::new("bash");
    bash.arg("-s");
    assert_eq!(run_with(bash, &probe).stdout, "unpack\n--keep-going\n");
}

#[test]
fn an_unknown_shell_is_refused() {
    let ended = run(["completions", "dos"]);
    assert_eq!((ended.code, &*ended.stdout), (Some(2), ""));
    assert!(ended.stderr.contains("[possible values: bash, elvish, fish, powershell, zsh]"));
}
