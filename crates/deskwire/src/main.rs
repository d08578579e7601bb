//! The binary: all of it is in the library, where the end-to-end tests start the very same server.

/// Answers are made of many small pieces: against the C library's allocator this one saves a good part of the time.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    deskwire::cli::main()
}
