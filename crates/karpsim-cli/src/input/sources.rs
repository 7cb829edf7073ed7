//! Where catalogues come from: beside the scenario, below `--root`, the program itself, or `--catalogue`;
//! `--overlay` changes them.

use crate::failure::Failure;
use crate::input::overlay::OverlaidCatalogues;
use crate::input::{embedded, unpack};
use karpsim::catalogue::{self, Catalogue};
use karpsim::input::Catalogues;
use karpsim::problem::{Place, Problem, ProblemKind, near_miss};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Leads names of catalogues to catalogues. Each file is read once.
pub(crate) struct Sources {
    /// The folder that `catalogue.file` is relative to.
    folder: PathBuf,
    /// The catalogue of `--catalogue`.
    instead: Option<Arc<Catalogue>>,
    /// Those of `--overlay`, for every catalogue.
    overlays: Arc<OverlaidCatalogues>,
    read: Mutex<BTreeMap<PathBuf, Result<Arc<Catalogue>, Problem>>>,
}

impl Sources {
    /// For scenarios in `file`. `root` stands for the file's folder; `instead` (a name or a file) for every catalogue;
    /// `overlays` change them all.
    ///
    /// # Errors
    ///
    /// If the catalogue `instead` cannot be had.
    pub(crate) fn new(
        file: &Path,
        root: Option<&Path>,
        instead: Option<&str>,
        overlays: Arc<OverlaidCatalogues>,
    ) -> Result<Self, Failure> {
        let beside =
            if file == Path::new("-") { Path::new("") } else { file.parent().unwrap_or(Path::new("")) };
        let mut sources = Sources {
            folder: root.unwrap_or(beside).to_owned(),
            instead: None,
            overlays,
            read: Mutex::new(BTreeMap::new()),
        };
        if let Some(name) = instead {
            sources.instead = Some(catalogue(name)?);
        }
        Ok(sources)
    }
}

/// A catalogue by name: one of the program, or a file relative to where the program was started.
///
/// # Errors
///
/// If there is none of that name, or the file is wrong.
pub(crate) fn catalogue(name: &str) -> Result<Arc<Catalogue>, Failure> {
    if embedded::is_name(name) {
        return embedded::load(name).map_err(|problem| Failure::problem("--catalogue", 0, &problem));
    }
    let path = if name == "-" { Some(PathBuf::from(name)) } else { existing(Path::new(name)) };
    let Some(path) = path else {
        let failure = Failure::input(format!(
            "catalogue `{name}` not found: it is neither a built-in catalogue nor a file"
        ));
        return Err(failure.hint(match near_miss(name, embedded::names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("built-in catalogues: {}", embedded::names().collect::<Vec<_>>().join(", ")),
        }));
    };
    let text = unpack::text(&path)?;
    catalogue::read(&text)
        .map(Arc::new)
        .map_err(|problem| Failure::problem(&unpack::shown(&path), 0, &problem))
}

/// `path` itself, or packed.
fn existing(path: &Path) -> Option<PathBuf> {
    ["", ".zst", ".gz"].iter().find_map(|suffix| {
        let mut candidate = path.as_os_str().to_owned();
        candidate.push(suffix);
        let candidate = PathBuf::from(candidate);
        candidate.is_file().then_some(candidate)
    })
}

impl Catalogues for Sources {
    fn file(&self, name: &str) -> Result<Arc<Catalogue>, Problem> {
        let path = self.folder.join(name);
        // A catalogue is read under the lock: others wait for the same file anyway.
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = read.get(&path) {
            return known.clone();
        }
        let catalogue = read_file(&path);
        read.insert(path, catalogue.clone());
        catalogue
    }

    fn named(&self, name: &str) -> Result<Arc<Catalogue>, Problem> {
        embedded::load(name)
    }

    fn instead(&self) -> Result<Option<Arc<Catalogue>>, Problem> {
        Ok(self.instead.clone())
    }

    fn overlaid(&self, catalogue: Arc<Catalogue>) -> Result<Arc<Catalogue>, Problem> {
        self.overlays.apply(catalogue)
    }
}

fn read_file(path: &Path) -> Result<Arc<Catalogue>, Problem> {
    let problem = |message: String, hint: Option<String>| {
        Problem::new(Place::at("catalogue.file"), ProblemKind::Catalogue { message, hint })
    };
    let Some(found) = existing(path) else {
        return Err(problem(
            format!("file {} not found (nor with .zst or .gz)", path.display()),
            Some("use --root to set the directory that catalogue files are relative to".to_owned()),
        ));
    };
    let text = unpack::text(&found).map_err(|failure| match failure {
        Failure::Input(sentence) | Failure::Resources(sentence) => problem(sentence.text, sentence.hint),
        Failure::OutputClosed | Failure::No => problem(found.display().to_string(), None),
    })?;
    catalogue::read(&text)
        .map(Arc::new)
        .map_err(|inner| problem(format!("{}: {inner}", found.display()), inner.hint()))
}
