//! `hdp completions` and `hdp man`: what shells and man want, made from the command line itself.

use std::{fs, io::Write as _, path::PathBuf};

use anyhow::Context as _;
use clap::CommandFactory as _;

use super::{Outcome, output};

/// Print completions for a shell
///
/// For bash: hdp completions bash > ~/.local/share/bash-completion/completions/hdp
#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

/// Print the manual page, of hdp or of one of its commands
///
/// hdp man path | man -l -
#[derive(Debug, clap::Args)]
pub(super) struct Man {
    /// A command, such as path
    command: Option<String>,

    /// Write the pages of hdp and all its commands into DIR
    #[arg(short, long, value_name = "DIR", conflicts_with = "command")]
    output: Option<PathBuf>,
}

pub(super) fn completions(arguments: &Completions) -> anyhow::Result<Outcome> {
    let mut script = Vec::new();
    let mut command = super::Arguments::command();
    clap_complete::generate(arguments.shell, &mut command, "hdp", &mut script);
    print(&script)
}

pub(super) fn man(arguments: &Man) -> anyhow::Result<Outcome> {
    let mut hdp = super::Arguments::command().disable_help_subcommand(true);
    if let Some(folder) = &arguments.output {
        fs::create_dir_all(folder)
            .and_then(|()| clap_mangen::generate_to(hdp, folder))
            .with_context(|| format!("{}: cannot write", folder.display()))?;
        return Ok(Outcome::Done);
    }
    hdp.build();
    let page = match &arguments.command {
        None => hdp,
        Some(name) => {
            let command = hdp.find_subcommand(name);
            let command = command.with_context(|| format!("man: hdp has no command '{name}'"))?;
            command.clone()
        }
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text)?;
    print(&text)
}

fn print(text: &[u8]) -> anyhow::Result<Outcome> {
    let mut out = output::open(None)?;
    out.write_all(text)?;
    out.flush()?;
    Ok(Outcome::Done)
}
