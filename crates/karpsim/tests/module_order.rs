//! The modules of the library have an order, from the ground up: each may use those before it, none may use one after it.
//! ARCHITECTURE.md has the same list.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// From the ground up.
const ORDER: [&str; 21] = [
    "problem",
    "go_sort",
    "quantity",
    "yaml",
    "model",
    "version",
    "kubernetes",
    "catalogue",
    "label_rules",
    "scenario",
    "input",
    "batching",
    "requirements",
    "compile",
    "provider",
    "topology",
    "decision",
    "provisioning",
    "disruption",
    "cluster",
    "explain",
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(of: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(of).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, all);
        } else if path.extension().is_some_and(|it| it == "rs") {
            all.push(path);
        }
    }
}

/// The modules that a file's code names after `crate::`; tests in it may use what they like.
fn named(text: &str) -> Vec<&str> {
    let code = text.split("#[cfg(test)]").next().unwrap_or("");
    let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split("crate::").skip(1))
        .map(|after| after.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(""))
        .collect()
}

fn module_of(path: &Path) -> String {
    let below = path.strip_prefix(source()).unwrap();
    let first = below.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn no_module_uses_one_that_is_built_on_it() {
    let place: BTreeMap<&str, usize> = ORDER.iter().enumerate().map(|(at, name)| (*name, at)).collect();
    let mut all = Vec::new();
    files(&source(), &mut all);
    let mut wrong = Vec::new();
    for path in &all {
        let module = module_of(path);
        if module == "lib" || path.file_stem().is_some_and(|it| it.to_string_lossy().ends_with("tests")) {
            continue;
        }
        let Some(&at) = place.get(module.as_str()).or(place.get(module.trim_end_matches("_recorded"))) else {
            wrong.push(format!("module {module} is not in the list"));
            continue;
        };
        for used in named(&fs::read_to_string(path).unwrap()) {
            if place.get(used).is_some_and(|&other| other > at) {
                wrong.push(format!("{} uses {used}", path.strip_prefix(source()).unwrap().display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn grouped_imports_from_the_root_are_not_used() {
    // They would escape the test above.
    let mut all = Vec::new();
    files(&source(), &mut all);
    for path in all {
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("use crate::{"), "{}: one line for each module, please", path.display());
    }
}

#[test]
fn architecture_has_the_same_list() {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ARCHITECTURE.md")).unwrap();
    let listed = text.lines().find(|line| line.starts_with("`problem` < ")).expect("the list of modules");
    let listed: Vec<&str> = listed.split(" < ").map(|name| name.trim_matches('`')).collect();
    assert_eq!(listed, ORDER);
}
