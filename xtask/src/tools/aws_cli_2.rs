//! AWS CLI v2: not on PyPI. Debian's package and what it needs are unpacked under target/, not installed: no root is
//! needed, and the machine keeps its own `aws` and its own Python packages.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::run::run;

/// Pinned where it is the client itself; what it imports follows Debian's security updates.
const PACKAGES: [&str; 17] = [
    "awscli=2.9.19-1",
    "python3-awscrt",
    "python3-cffi-backend",
    "python3-colorama",
    "python3-cryptography",
    "python3-dateutil",
    "python3-distro",
    "python3-docutils",
    "python3-jmespath",
    "python3-prompt-toolkit",
    "python3-pyasn1",
    "python3-roman",
    "python3-ruamel.yaml",
    "python3-ruamel.yaml.clib",
    "python3-six",
    "python3-urllib3",
    "python3-wcwidth",
];

/// Debian's own: the native modules are built for it.
const PYTHON: &str = "/usr/bin/python3";

/// Made once; made again when the list changes. `update` refreshes Debian's lists, which a first download may need.
pub fn install(tools: &Path, update: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let folder = tools.join("aws-cli-2");
    let stamp = folder.join("installed.txt");
    let wanted = PACKAGES.join("\n");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    println!("== AWS CLI v2: {}", PACKAGES.join(" "));
    let packages = folder.join("packages");
    match fs::remove_dir_all(&folder) {
        Err(err) if err.kind() != std::io::ErrorKind::NotFound => return Err(format!("{}: {err}", folder.display())),
        _ => fs::create_dir_all(&packages).map_err(|err| format!("{}: {err}", packages.display()))?,
    }
    if download(&packages).is_err() {
        update()?;
        download(&packages).map_err(|err| {
            format!("{err}\nThe tests need AWS CLI v2 as Debian 12 packages it; on another system run them in a container of it.")
        })?;
    }
    for entry in fs::read_dir(&packages).map_err(|err| format!("{}: {err}", packages.display()))? {
        let package = entry.map_err(|err| format!("{}: {err}", packages.display()))?.path();
        run(Command::new("dpkg").arg("-x").arg(package).arg(&folder))?;
    }
    fs::remove_dir_all(&packages).map_err(|err| format!("{}: {err}", packages.display()))?;
    let launcher = folder.join("aws");
    let imports = folder.join("usr/lib/python3/dist-packages");
    let script = format!(
        "#!/bin/sh\nPYTHONPATH='{}' exec {PYTHON} '{}' \"$@\"\n",
        imports.display(),
        folder.join("usr/bin/aws").display()
    );
    fs::write(&launcher, script).map_err(|err| format!("{}: {err}", launcher.display()))?;
    run(Command::new("chmod").arg("+x").arg(&launcher))?;
    run(Command::new(&launcher).arg("--version"))?;
    fs::write(&stamp, wanted).map_err(|err| format!("{}: {err}", stamp.display()))
}

fn download(to: &Path) -> Result<(), String> {
    run(Command::new("apt-get").current_dir(to).args(["download", "-q"]).args(PACKAGES))
}
