//! The binary: all of it is in the library, where the end-to-end tests start the very same server.

fn main() -> std::process::ExitCode {
    deskwire::cli::main()
}
