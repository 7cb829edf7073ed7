//! The documents tell the truth: every `karpsim` command of the README runs and prints what stands there.
//!
//! In a `console` block, a line `$ karpsim …` is run in the repository's root (a `\` at its end goes on with the next
//! line); `$` lines with other programs are not run. The lines below it must be printed in this order. `…` stands for
//! anything, within a line or alone for any number of lines.

mod program;

use program::{command, data};
use std::path::PathBuf;

/// A command and the lines that stand below it.
#[derive(Debug, Default, PartialEq)]
struct Shown {
    command: String,
    lines: Vec<String>,
}

fn root() -> PathBuf {
    data("..")
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap()
}

/// The commands in the `console` blocks of a Markdown text.
fn shown(markdown: &str) -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    let mut inside = false;
    let mut unfinished = false;
    for line in markdown.lines() {
        if let Some(fence) = line.strip_prefix("```") {
            inside = fence == "console";
        } else if inside && unfinished {
            let last = all.last_mut().unwrap();
            unfinished = line.ends_with('\\');
            last.command = format!("{} {}", last.command, line.trim_end_matches('\\').trim());
        } else if let Some(typed) = line.strip_prefix("$ ").filter(|_| inside) {
            unfinished = typed.ends_with('\\');
            all.push(Shown { command: typed.trim_end_matches('\\').trim().to_owned(), lines: Vec::new() });
        } else if inside {
            all.last_mut().expect("a block begins with a command").lines.push(line.trim_end().to_owned());
        }
    }
    all
}

/// Words of a command line. Single quotes keep spaces; nothing else is special.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        if at % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// Whether `line` is what `pattern` shows.
fn matches(pattern: &str, line: &str) -> bool {
    let line = line.trim_end();
    let Some((first, rest)) = pattern.split_once('…') else { return pattern == line };
    let Some(mut left) = line.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('…').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(last)
}

/// The first of the shown lines that is not printed where it should be.
fn missing<'a>(shown: &'a [String], printed: &str) -> Option<&'a str> {
    let mut left = printed.lines();
    let mut gap = false;
    for pattern in shown {
        if pattern == "…" {
            gap = true;
            continue;
        }
        let found = if gap {
            left.any(|line| matches(pattern, line))
        } else {
            left.next().is_some_and(|line| matches(pattern, line))
        };
        if !found {
            return Some(pattern);
        }
        gap = false;
    }
    None
}

#[test]
fn every_command_of_the_readme_prints_what_is_shown() {
    let commands: Vec<Shown> =
        shown(&read("README.md")).into_iter().filter(|shown| shown.command.starts_with("karpsim ")).collect();
    assert!(commands.len() >= 5, "{commands:#?}");
    for Shown { command: line, lines } in &commands {
        let words = words(line);
        let arguments: Vec<&str> = words[1..].iter().map(String::as_str).collect();
        let run =
            command(&arguments).current_dir(root()).stdin(std::process::Stdio::null()).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
        assert_eq!(run.status.code(), Some(0), "$ {line}\n{err}");
        assert_eq!(missing(lines, &out), None, "$ {line}\n{out}");
    }
}

#[test]
fn the_readme_begins_with_the_two_commands() {
    let commands: Vec<String> = shown(&read("README.md")).into_iter().map(|shown| shown.command).collect();
    assert_eq!(commands[0], "cargo run --release -p karpsim-cli -- replay data/traces/resnet-gpu.json");
    assert_eq!(commands[1], "cargo test --workspace");
    let gates = read(".ci/run");
    assert!(gates.lines().any(|line| line == commands[1]), "the gates run the README's tests");
}

/// Links of a Markdown text that lead into the repository.
fn links(markdown: &str) -> impl Iterator<Item = &str> {
    markdown
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .map(|link| link.split('#').next().unwrap_or_default())
        .filter(|link| !link.is_empty() && !link.contains("://"))
}

#[test]
fn links_of_the_documents_lead_somewhere() {
    for file in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "data/README.md",
        "fuzz/README.md",
    ] {
        let folder = root().join(file).parent().unwrap().to_owned();
        for link in links(&read(file)) {
            assert!(folder.join(link).exists(), "{file}: {link}");
        }
    }
}

/// Files that the documents name in backquotes, as far as they look like paths of the repository.
#[test]
fn paths_that_the_architecture_names_exist() {
    let text = read("ARCHITECTURE.md");
    let paths: Vec<&str> = text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| name.contains('/') && !name.contains([' ', ':', '*', '{', '<']))
        .collect();
    assert!(paths.len() > 20, "{paths:?}");
    for path in paths {
        assert!(root().join(path).exists(), "ARCHITECTURE.md: `{path}`");
    }
}

#[test]
fn shown_lines_are_compared_with_gaps() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(missing(&lines("a\n…\nc"), "a\nb\nc\nd\n"), None);
    assert_eq!(missing(&lines("a\nc"), "a\nb\nc\n"), Some("c"));
    assert_eq!(missing(&lines("a…c…"), "abcd\n"), None);
    assert_eq!(missing(&lines("a…x"), "abc\n"), Some("a…x"));
    assert_eq!(words("karpsim find 'a b>1' c"), ["karpsim", "find", "a b>1", "c"]);
    let block = "```console\n$ karpsim a \\\n    b\nout\n```\n```sh\n$ karpsim c\n```\n";
    assert_eq!(shown(block), [Shown { command: "karpsim a b".into(), lines: vec!["out".into()] }]);
}
