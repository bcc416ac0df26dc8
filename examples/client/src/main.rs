//! The program `mailclient`.

use clap::Parser as _;
use hikyaku_client::visible;
use mailclient::cli::{Cli, advice, run};
use mailclient::terminal;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse().fitting(terminal::columns());
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("mailclient: {error}");
            return ExitCode::from(1);
        }
    };
    match runtime.block_on(run(cli, &mut std::io::stdout())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A server's words may be in it.
            let said = error.to_string();
            eprintln!("mailclient: {}", visible::text(&said));
            if let Some(advice) = advice(&error) {
                eprintln!("            {advice}");
            }
            ExitCode::from(error.exit_code())
        }
    }
}
