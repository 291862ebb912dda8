//! The `hdp` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    hdp::cli::main()
}
