//! The binary: reads the command line and runs the command.

use std::process::ExitCode;

use clap::Parser;
use deskwire::cli::Cli;

/// The stack of a thread, in bytes: four times the usual, so that the deepest input within the limits is far from its end.
const STACK: usize = 8 << 20;

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK).build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the runtime cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(Cli::parse().run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
