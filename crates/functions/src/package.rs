//! Function packages: what an uploaded zip holds, checked before any of it is kept. Knows nothing of handlers or modules.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{Cursor, Read};

use zip::ZipArchive;

use crate::limits::{
    PACKAGE_ENTRIES_MAX, PACKAGE_NAME_BYTES_MAX, PACKAGE_RATIO_FREE_BYTES, PACKAGE_RATIO_MAX,
    PACKAGE_UNZIPPED_BYTES_MAX, PACKAGE_ZIP_BYTES_MAX,
};

/// The files of a package by their path (`index.js`, `lib/names.js`).
#[derive(Clone, Debug)]
pub struct Package {
    files: BTreeMap<String, Vec<u8>>,
    folders: BTreeSet<String>,
}

/// One sentence: which entry, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageError(pub String);

impl fmt::Display for PackageError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for PackageError {}

impl Package {
    pub fn read(zip: &[u8]) -> Result<Self, PackageError> {
        if zip.len() > PACKAGE_ZIP_BYTES_MAX {
            return refuse(format!("the zip has {} bytes, {PACKAGE_ZIP_BYTES_MAX} are allowed", zip.len()));
        }
        let mut archive = open(zip)?;
        let mut package = Self { files: BTreeMap::new(), folders: BTreeSet::new() };
        let mut left = PACKAGE_UNZIPPED_BYTES_MAX;
        for index in 0..archive.len() {
            let entry = archive
                .by_index_with_options(index, zip::read::ZipReadOptions::new().password(None))
                .map_err(|error| PackageError(format!("entry {} cannot be read: {error}", index + 1)))?;
            let name = checked_name(entry.name_raw())?;
            if entry.encrypted() {
                return refuse(format!("{name:?} is encrypted"));
            }
            if entry.is_symlink() {
                return refuse(format!("{name:?} is a symbolic link; put the file itself there"));
            }
            if let Some(folder) = name.strip_suffix('/') {
                package.add_folder(folder);
                continue;
            }
            check_size(&name, entry.size(), entry.compressed_size(), left)?;
            let content = unpack(&name, entry, left)?;
            left = left.saturating_sub(content.len() as u64);
            if let Some((folder, _)) = name.rsplit_once('/') {
                package.add_folder(folder);
            }
            if package.files.insert(name.clone(), content).is_some() {
                return refuse(format!("{name:?} is there twice"));
            }
        }
        match package.folders.iter().find(|folder| package.files.contains_key(*folder)) {
            Some(folder) => refuse(format!("{folder:?} is both a file and a folder")),
            None => Ok(package),
        }
    }

    pub fn file(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    pub fn is_folder(&self, path: &str) -> bool {
        path.is_empty() || self.folders.contains(path)
    }

    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The names directly below a folder, sorted.
    pub(crate) fn list(&self, folder: &str) -> Vec<String> {
        let below = |path: &str| {
            let rest = if folder.is_empty() { path } else { path.strip_prefix(folder)?.strip_prefix('/')? };
            (!rest.is_empty() && !rest.contains('/')).then(|| rest.to_owned())
        };
        let names: BTreeSet<String> =
            self.paths().chain(self.folders.iter().map(String::as_str)).filter_map(below).collect();
        names.into_iter().collect()
    }

    /// The names of clients, commands and errors in the package's own sources. An ES module of the SDK must name its
    /// exports before it is linked, and the SDK's own list is far longer than what is used.
    pub(crate) fn sdk_identifiers(&self) -> Vec<String> {
        let sources = self.files.iter().filter(|(path, _)| !path.contains("node_modules/"));
        let scripts = sources.filter(|(path, _)| [".js", ".mjs", ".cjs"].iter().any(|end| path.ends_with(end)));
        let mut found = BTreeSet::new();
        for (_, content) in scripts {
            let text = String::from_utf8_lossy(content);
            let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '$'));
            found.extend(words.filter(|word| is_sdk_name(word)).take(SDK_IDENTIFIERS_MAX).map(str::to_owned));
        }
        found.into_iter().take(SDK_IDENTIFIERS_MAX).collect()
    }

    fn add_folder(&mut self, folder: &str) {
        let mut rest = folder;
        while self.folders.insert(rest.to_owned()) {
            match rest.rsplit_once('/') {
                Some((above, _)) => rest = above,
                None => break,
            }
        }
    }
}

/// More than all operations of one service.
const SDK_IDENTIFIERS_MAX: usize = 2_000;

fn is_sdk_name(word: &str) -> bool {
    let is_name = word.starts_with(|c: char| c.is_ascii_uppercase()) && word.bytes().all(|c| c.is_ascii_alphanumeric());
    let is_kind = ["Command", "Client", "Exception", "Error", "Fault"].iter().any(|end| word.ends_with(end));
    let is_whole = ["IoT", "IoTDataPlane", "Lambda", "IAM", "STS", "CloudWatchLogs"].contains(&word);
    is_name && (is_whole || (is_kind && word != "Error"))
}

fn refuse<T>(message: String) -> Result<T, PackageError> {
    Err(PackageError(message))
}

fn open(zip: &[u8]) -> Result<ZipArchive<Cursor<&[u8]>>, PackageError> {
    let archive =
        ZipArchive::new(Cursor::new(zip)).map_err(|error| PackageError(format!("this is not a zip: {error}")))?;
    if archive.len() > PACKAGE_ENTRIES_MAX {
        return refuse(format!("the zip has {} entries, {PACKAGE_ENTRIES_MAX} are allowed", archive.len()));
    }
    // The reader keeps one of several entries of a name, so the count of what it kept would hide the other.
    if archive.has_duplicate_names() {
        return refuse("a name is there twice".to_owned());
    }
    Ok(archive)
}

fn checked_name(raw: &[u8]) -> Result<String, PackageError> {
    let Ok(name) = std::str::from_utf8(raw) else {
        return refuse(format!("the name {:?} is not UTF-8", String::from_utf8_lossy(raw)));
    };
    let path = name.strip_suffix('/').unwrap_or(name);
    let wrong = if name.len() > PACKAGE_NAME_BYTES_MAX {
        Some("is too long")
    } else if name.contains('\\') {
        Some("contains a backslash")
    } else if name.chars().any(char::is_control) {
        Some("contains a control character")
    } else if name.starts_with('/') {
        Some("is absolute")
    } else if path.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        Some("has an empty, \".\" or \"..\" part")
    } else {
        None
    };
    match wrong {
        Some(wrong) => {
            let shown: String = name.chars().take(100).collect();
            refuse(format!("the name {shown:?} {wrong}"))
        }
        None => Ok(name.to_owned()),
    }
}

/// By what the headers say; `unpack` trusts none of it.
fn check_size(name: &str, size: u64, compressed: u64, left: u64) -> Result<(), PackageError> {
    if size > left {
        return refuse(format!(
            "{name:?} brings the unzipped size over {PACKAGE_UNZIPPED_BYTES_MAX} bytes, more than a script package needs"
        ));
    }
    if size > PACKAGE_RATIO_FREE_BYTES && size / compressed.max(1) > PACKAGE_RATIO_MAX {
        return refuse(format!("{name:?} is compressed more than {PACKAGE_RATIO_MAX} to 1"));
    }
    Ok(())
}

fn unpack(name: &str, entry: impl Read, left: u64) -> Result<Vec<u8>, PackageError> {
    let mut content = Vec::new();
    match entry.take(left.saturating_add(1)).read_to_end(&mut content) {
        Err(error) => refuse(format!("{name:?} cannot be unpacked: {error}")),
        Ok(_) if content.len() as u64 > left => {
            refuse(format!("{name:?} brings the unzipped size over {PACKAGE_UNZIPPED_BYTES_MAX} bytes"))
        }
        Ok(_) => Ok(content),
    }
}
