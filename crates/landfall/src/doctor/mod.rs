//! `landfall doctor`: looks at everything that a server needs, with a running server and without one, and says what to do.

mod certificates;
mod machine;
mod registry;
mod running;
mod stopped;

use std::fmt;
use std::process::ExitCode;

use crate::cli::ServeFlags;
use crate::data_dir::DataDir;
use crate::run_file::RunFile;
use crate::settings::Settings;
use crate::{Sentence, serve};

/// One thing that was looked at.
struct Finding {
    verdict: Verdict,
    what: &'static str,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Good,
    /// Works now; look at it before it does not.
    Note,
    Wrong,
}

impl Finding {
    fn good(what: &'static str, text: impl Into<String>) -> Self {
        Self { verdict: Verdict::Good, what, text: text.into() }
    }

    fn note(what: &'static str, text: impl Into<String>) -> Self {
        Self { verdict: Verdict::Note, what, text: text.into() }
    }

    fn wrong(what: &'static str, text: impl Into<String>) -> Self {
        Self { verdict: Verdict::Wrong, what, text: text.into() }
    }

    fn of(what: &'static str, outcome: Result<String, Sentence>) -> Self {
        match outcome {
            Ok(text) => Self::good(what, text),
            Err(Sentence(text)) => Self::wrong(what, text),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Good => "ok",
            Verdict::Note => "note",
            Verdict::Wrong => "WRONG",
        };
        write!(f, "{verdict:<6}{:<14}{}", self.what, self.text)
    }
}

/// Fails where something is wrong; a note is no failure.
pub fn main(flags: &ServeFlags) -> ExitCode {
    let findings = findings(flags);
    for finding in &findings {
        say!("{finding}");
    }
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    match (count(Verdict::Wrong), count(Verdict::Note)) {
        (0, 0) => say!("\nEverything is as it should be."),
        (0, notes) => say!("\nNothing is wrong; {notes} to look at."),
        (wrong, _) => {
            say!("\n{wrong} to mend.");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn findings(flags: &ServeFlags) -> Vec<Finding> {
    let settings = match Settings::of(flags) {
        Ok(settings) => settings,
        // Nothing else is known without them.
        Err(Sentence(text)) => return vec![Finding::wrong("config", text), machine::clock(None)],
    };
    let text = format!("region {}, account {}", settings.region, settings.account);
    let mut findings = vec![Finding::good("config", text)];
    let data_dir = DataDir::existing(&settings.data_dir).ok();
    findings.push(machine::clock(data_dir.as_ref()));
    findings.push(machine::open_files());
    let Some(data_dir) = data_dir else {
        let text = format!("{} is not there; the first start makes it", settings.data_dir.display());
        findings.push(Finding::note("data", text));
        findings.extend(stopped::ports(&settings));
        return findings;
    };
    findings.push(machine::disk(&data_dir));
    findings.extend(machine::modes(&data_dir, settings.own_certificate.as_ref()));
    let looked = serve::block_on(async {
        match RunFile::read(&data_dir) {
            Ok(run) if running::answers(&run, &data_dir).await => {
                Ok(running::findings(&settings, &run, &data_dir).await)
            }
            run => Ok(stopped::findings(&settings, &data_dir, run.ok().as_ref()).await),
        }
    });
    match looked {
        Ok(looked) => findings.extend(looked),
        Err(Sentence(text)) => findings.push(Finding::wrong("server", text)),
    }
    findings
}
