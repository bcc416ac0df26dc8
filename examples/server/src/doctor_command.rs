//! `mailserver doctor`.

use mailserver::{Config, Consultation, Verdict, diagnose, drop_privileges};
use std::path::Path;
use std::process::ExitCode;

use crate::queue_command::print;

/// Prints what the world sees. The code says whether all of it is well.
pub(crate) async fn run(
    config: &Config,
    file: Option<&Path>,
    domain: Option<String>,
    dns: Vec<String>,
) -> Result<ExitCode, String> {
    drop_privileges(&config.run, &config.data).map_err(|error| error.to_string())?;
    let wanted = Consultation {
        domain,
        dns,
        file: file.map(|path| path.display().to_string()),
    };
    let report = diagnose(config, &wanted).await;
    let report = report.map_err(|error| error.to_string())?;
    print(report.to_string().as_bytes())?;
    Ok(match report.verdict() {
        Verdict::Well => ExitCode::SUCCESS,
        Verdict::Faults => ExitCode::from(1),
        Verdict::Unknown => ExitCode::from(2),
    })
}
