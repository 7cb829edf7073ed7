//! One scenario of a file, for commands that look at a single one.

use crate::failure::Failure;
use crate::flags::settings::SettingsFlags;
use crate::flags::{NowFlag, OverlayFlag, SourceFlags, StrictFlag};
use crate::input::records::{Body, Records};
use clap::Args;
use karpsim::input::{self, Findings};
use karpsim::problem::{Problem, ProblemKind, near_miss};
use karpsim::scenario::{Scenario, ScenarioText};
use std::path::PathBuf;
use std::sync::Arc;

/// Names that an error lists.
const NAMES_MAX: usize = 5;

/// Which scenario, and how it is to be read.
#[derive(Debug, Args)]
pub(crate) struct ScenarioFlags {
    /// Scenario as JSON or YAML, optionally compressed with zstd or gzip; `-` reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Name of the scenario, if the file has more than one
    #[arg(long, value_name = "NAME")]
    scenario: Option<String>,
    #[command(flatten)]
    source: SourceFlags,
    #[command(flatten)]
    overlay: OverlayFlag,
    #[command(flatten)]
    now: NowFlag,
    #[command(flatten)]
    settings: SettingsFlags,
}

/// A scenario and where it comes from.
pub(crate) struct Loaded {
    /// The scenario.
    pub(crate) scenario: Scenario,
    /// The file as messages name it.
    pub(crate) shown: String,
}

impl ScenarioFlags {
    /// Reads the scenario. Warnings go to standard error.
    ///
    /// # Errors
    ///
    /// If there is no such scenario, or it is wrong.
    pub(crate) fn load(&self) -> Result<Loaded, Failure> {
        let settings = self.settings.settings()?;
        let overlays = Arc::new(self.overlay.read()?);
        let sources = self.source.sources(&self.file, Arc::clone(&overlays))?;
        let mut records = Records::open(&self.file)?;
        let shown = records.shown().to_owned();
        let mut names: Vec<String> = Vec::new();
        let mut found: Option<(usize, ScenarioText)> = None;
        while let Some(record) = records.next()? {
            let line = record.line;
            let read = match record.body {
                Body::Json(text) => input::read_json(&text),
                Body::Yaml(read) => Ok(*read),
            };
            let text = read.map_err(|problem| scenario_failure(&shown, line, &problem))?.text;
            let wanted = self.scenario.as_ref().is_none_or(|name| text.name == *name);
            names.push(text.name.to_string());
            if wanted && found.is_some() {
                return Err(self.several(&shown, &names));
            }
            if wanted {
                found = Some((line, text));
                if self.scenario.is_some() {
                    break;
                }
            }
        }
        let Some((line, mut text)) = found else { return Err(self.absent(&shown, &names)) };
        settings.apply(&mut text.options);
        self.now.apply(&mut text);
        let mut findings = Findings::default();
        let scenario = input::validate(text, &sources, &mut findings)
            .map_err(|problem| scenario_failure(&shown, line, &problem))?;
        for finding in findings.iter() {
            say!("warning: {finding}");
        }
        overlays.warn(StrictFlag::default())?;
        Ok(Loaded { scenario, shown })
    }

    fn several(&self, shown: &str, names: &[String]) -> Failure {
        Failure::input(format!("{shown}: the file has more than one scenario")).hint(format!(
            "select one with --scenario, such as `--scenario {}`",
            names.first().map_or("", String::as_str)
        ))
    }

    fn absent(&self, shown: &str, names: &[String]) -> Failure {
        let wanted = self.scenario.as_deref().unwrap_or("");
        let failure = Failure::input(format!("{shown}: scenario `{wanted}` not found"));
        match near_miss(wanted, names.iter().map(String::as_str)) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => failure.hint(format!(
                "the file has {}",
                crate::output::figures::shortened(names.iter().map(String::as_str), NAMES_MAX)
            )),
        }
    }
}

/// What is wrong with the scenario at `line` of the file `shown`, with what to do about it.
pub(crate) fn scenario_failure(shown: &str, line: usize, problem: &Problem) -> Failure {
    let failure = Failure::problem(shown, line, problem);
    match &problem.kind {
        ProblemKind::NoCatalogue => {
            failure.hint("use --catalogue with a name or a file, such as `--catalogue aws/us-west-2`")
        }
        ProblemKind::Value { found, .. } if found == "\"Trace\"" => {
            failure.hint("this is a trace: use `karpsim replay`")
        }
        _ => failure,
    }
}
