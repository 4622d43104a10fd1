//! Building the examples and finding their programs.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::workspace;

/// One listing: its source, the program built from it, and the text that the book quotes as its output.
#[derive(Debug, Clone)]
pub struct Example {
    /// The name, unique in the workspace: `cargo run --example NAME`.
    pub name: String,
    /// The listing.
    pub source: PathBuf,
    /// The built program.
    pub program: PathBuf,
}

impl Example {
    /// The committed output, beside the source.
    pub fn recorded(&self) -> PathBuf {
        self.source.with_extension("out")
    }
}

/// Builds every example of the workspace and returns them by name.
///
/// Cargo itself says where each program is; a guess would run a stale one.
pub fn build() -> Result<Vec<Example>> {
    let output = Command::new(cargo())
        .args(["build", "--workspace", "--examples", "--message-format=json-render-diagnostics"])
        .current_dir(workspace::root())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("starting cargo")?;
    if !output.status.success() {
        bail!("the examples do not build: cargo ended with {}", output.status);
    }
    let built = programs(&String::from_utf8_lossy(&output.stdout))?;
    let missing: Vec<_> = sources()?.into_iter().filter(|(name, _)| !built.contains_key(name)).collect();
    if let Some((name, source)) = missing.first() {
        bail!("cargo built no program for the example {name} ({})", source.display());
    }
    Ok(built.into_values().collect())
}

/// Every listing in the workspace by name, found in the folders alone.
pub fn sources() -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    for path in rust_files("examples")? {
        if let Some(first) = found.insert(stem(&path), path.clone()) {
            bail!("two examples have one name: {} and {}", first.display(), path.display());
        }
    }
    Ok(found)
}

/// Every exercise in the workspace, with its hole, and every solution.
pub fn exercises() -> Result<Vec<PathBuf>> {
    Ok([rust_files("exercises")?, rust_files("exercises/solutions")?].concat())
}

/// The Rust files right in this folder of every crate that has it.
fn rust_files(folder: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for member in workspace::CRATES_WITH_EXAMPLES {
        let folder = workspace::root().join(member).join(folder);
        if !folder.is_dir() {
            continue;
        }
        for entry in folder.read_dir().with_context(|| format!("reading {}", folder.display()))? {
            found.push(entry?.path());
        }
    }
    found.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    Ok(found)
}

fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"))
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// The example programs among cargo's JSON messages.
fn programs(messages: &str) -> Result<BTreeMap<String, Example>> {
    let mut found = BTreeMap::new();
    for line in messages.lines() {
        let message: Value = serde_json::from_str(line).context("reading cargo's messages")?;
        let target = &message["target"];
        if message["reason"] != "compiler-artifact" || target["kind"][0] != "example" {
            continue;
        }
        let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
        if let (Some(name), Some(source), Some(program)) =
            (text(&target["name"]), text(&target["src_path"]), text(&message["executable"]))
        {
            found.insert(name.clone(), Example { name, source: source.into(), program: program.into() });
        }
    }
    Ok(found)
}
