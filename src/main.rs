//! The application: puts the parts together, decides nothing.

mod admin;
mod application;
mod buses;
mod cli;
mod copy;
mod explain;
mod history;
mod letters;
mod load;
mod observed;
mod output;
mod registry;
mod telemetry;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let command = cli::Zetes::parse();
    // One TLS provider for the whole process; a second installation is impossible here, so the answer says nothing.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    match command.run() {
        Ok(code) => code,
        Err(error) => {
            output::error(&error);
            ExitCode::from(cli::exit_code(&error))
        }
    }
}
