//! Runs the program, and keeps folders for its files.

#![allow(dead_code, reason = "every test file uses some of it")]

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What a run left.
#[derive(Debug, PartialEq)]
pub(crate) struct Run {
    /// Exit code.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

/// Runs `karpsim` in the repository's `data` folder, with `input` on standard input.
pub(crate) fn karpsim(arguments: &[&str], input: &[u8]) -> Run {
    let mut child = command(arguments).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let feeder = std::thread::spawn(move || {
        // The program may have ended before it read everything.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    Run {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The program, ready to run.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_karpsim"));
    command
        .args(arguments)
        .current_dir(data(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for variable in [
        "PREFERENCE_POLICY",
        "MIN_VALUES_POLICY",
        "FEATURE_GATES",
        "BATCH_MAX_DURATION",
        "BATCH_IDLE_DURATION",
    ] {
        command.env_remove(variable);
    }
    command
}

/// A path in the repository's `data` folder.
pub(crate) fn data(path: &str) -> PathBuf {
    karpsim_testkit::path(path)
}

/// A folder for one test, gone with the value.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// A folder called after the test.
    pub(crate) fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("karpsim-{test}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    /// Writes a file and tells its path.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The path of a file.
    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// Names of the files.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
