//! `onewriter completions`: scripts that complete command lines in shells.

use clap_complete::Shell;

use crate::{
    command::{Given, Verb},
    context::Context,
    failure::Failure,
};

pub(super) const VERB: Verb = Verb {
    name: "completions",
    about: "Print the completion script for SHELL: bash, elvish, fish, powershell or zsh",
    details: "As in: onewriter completions bash > ~/.local/share/bash-completion/completions/onewriter",
    operands: "SHELL",
    count: (1, 1),
    options: &[],
    common: &[],
    run,
};

fn run(given: &Given, context: &mut Context) -> Result<(), Failure> {
    let name = given.operands[0].to_string_lossy();
    let shell: Shell = name.parse().map_err(|_| {
        Failure::Usage(format!("'{name}' is not bash, elvish, fish, powershell or zsh"))
    })?;
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut crate::clap(), "onewriter", &mut script);
    context.output.bytes(&script)
}
