//! The command line: what can be typed, and which stages it sets to work.
//!
//! Results go to standard output, everything else to standard error. Exit status: 0 the work was
//! done, 1 a finding the user asked to be told by exit status, 2 the work could not be done.

mod campaign;
mod diff;
mod dissect;
mod generate;
mod heap;
mod interfaces;
#[cfg(target_os = "linux")]
mod listen;
mod live;
#[cfg(target_os = "linux")]
mod loopback;
mod output;
mod path;
mod progress;
mod send;
mod terminal;
mod trace;
mod view;

use std::{ffi::OsString, io, process::ExitCode};

use clap::{Parser, Subcommand, error::ErrorKind};

/// Where along the path did each IP protocol number disappear?
#[derive(Debug, Parser)]
#[command(version, disable_version_flag = true, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Print version
    #[arg(long, action = clap::ArgAction::Version)]
    version: (),
    /// Colour: auto honours `NO_COLOR` and pipes.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        display_order = 900 // behind the options of the command
    )]
    color: clap::ColorChoice,
}

#[derive(Debug, Subcommand)]
enum Command {
    Path(path::Arguments),
    Dissect(dissect::Arguments),
    Send(send::Arguments),
    #[cfg(target_os = "linux")]
    Listen(listen::Arguments),
    #[cfg(target_os = "linux")]
    Loopback(loopback::Arguments),
    Trace(trace::Arguments),
    Diff(diff::Arguments),
    Campaign(campaign::Arguments),
    Interfaces(interfaces::Arguments),
    Completions(generate::Completions),
    Man(generate::Man),
}

/// What a command that did its work has to say by exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// 0.
    Done,
    /// 1: the user asked for `--exit-code`, and not every number passed, or some changed.
    ExitCode,
    /// 2: nothing was sent at all; or the user asked for `--exit-code`, and the captures are of different
    /// runs.
    NothingDone,
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            ) =>
        {
            // A closed pipe ends quietly.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            return ExitCode::from(2);
        }
        Err(error) => {
            eprintln!("hdp: error: {}", in_one_line(&error));
            return ExitCode::from(2);
        }
    };
    // Each stream that is asked about colour answers with what was typed.
    match arguments.color {
        clap::ColorChoice::Always => anstream::ColorChoice::Always,
        clap::ColorChoice::Never => anstream::ColorChoice::Never,
        clap::ColorChoice::Auto => anstream::ColorChoice::Auto,
    }
    .write_global();
    let use_color = anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never;
    let done = match arguments.command {
        Command::Path(arguments) => path::run(&arguments, use_color),
        Command::Dissect(arguments) => dissect::run(&arguments),
        Command::Send(arguments) => send::run(arguments),
        #[cfg(target_os = "linux")]
        Command::Listen(arguments) => listen::run(&arguments),
        #[cfg(target_os = "linux")]
        Command::Loopback(arguments) => loopback::run(&arguments),
        Command::Trace(arguments) => trace::run(arguments, use_color),
        Command::Diff(arguments) => diff::run(&arguments, use_color),
        Command::Campaign(arguments) => campaign::run(&arguments),
        Command::Interfaces(arguments) => interfaces::run(&arguments),
        Command::Completions(arguments) => generate::completions(&arguments),
        Command::Man(arguments) => generate::man(&arguments),
    };
    match done {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::ExitCode) => ExitCode::from(1),
        Ok(Outcome::NothingDone) => ExitCode::from(2),
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hdp: error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// What is wrong with the arguments, and clap's tips, without the usage that `--help` shows.
fn in_one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let paragraphs = text.trim_start_matches("error: ").split("\n\n");
    paragraphs
        .filter(|text| !text.starts_with("Usage:") && !text.starts_with("For more information"))
        .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join("; ")
}

/// Whether the reader of our output went away, which is no error of ours.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}
