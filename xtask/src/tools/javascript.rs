//! The AWS SDKs for JavaScript, v2 and v3, under target/. Which ones is in `tests/javascript/package.json`.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::run::run;

/// Made once; made again when the list changes. No lock file is kept: it would name the registry of whoever made it.
pub fn install(root: &Path, tools: &Path) -> Result<(), String> {
    let folder = tools.join("javascript");
    let stamp = folder.join("installed.json");
    let list = root.join("tests/javascript/package.json");
    let wanted = fs::read_to_string(&list).map_err(|err| format!("{}: {err}", list.display()))?;
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    println!("== AWS SDKs for JavaScript ({})", list.display());
    fs::create_dir_all(&folder).map_err(|err| format!("{}: {err}", folder.display()))?;
    fs::write(folder.join("package.json"), &wanted).map_err(|err| format!("{}: {err}", folder.display()))?;
    let mut npm = Command::new("npm");
    npm.current_dir(&folder).args(["install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]);
    run(npm.arg("--loglevel=error"))?;
    fs::write(&stamp, wanted).map_err(|err| format!("{}: {err}", stamp.display()))
}
