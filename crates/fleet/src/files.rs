//! Keys and certificates as files. What is there is not written over unless that is asked for: a CA's key that is gone
//! is gone for good.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::Error;

/// What happens to a file of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    Keep,
    Replace,
}

/// A folder that certificates and keys are written to.
pub struct Folder {
    path: PathBuf,
    existing: Existing,
}

/// Whoever reads it can be the device, or the CA.
const SECRET: u32 = 0o600;
const PUBLIC: u32 = 0o644;

impl Folder {
    /// Makes it where it is missing, for its owner alone.
    pub fn open(path: &Path, existing: Existing) -> Result<Self, Error> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|error| Error::File { path: path.to_owned(), error })?;
        Ok(Self { path: path.to_owned(), existing })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Before the first of several is written: none of them is there, or all may go.
    pub fn must_be_free<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<(), Error> {
        if self.existing == Existing::Replace {
            return Ok(());
        }
        let taken = names.into_iter().map(|name| self.path(name)).find(|path| path.symlink_metadata().is_ok());
        taken.map_or(Ok(()), |path| Err(Error::Exists { path }))
    }

    pub fn write_certificate(&self, name: &str, pem: &str) -> Result<PathBuf, Error> {
        self.write(name, pem, PUBLIC)
    }

    pub fn write_key(&self, name: &str, pem: &str) -> Result<PathBuf, Error> {
        self.write(name, pem, SECRET)
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> Result<PathBuf, Error> {
        let path = self.path(name);
        let failed = |error| match self.existing {
            Existing::Keep if std::io::Error::kind(&error) == ErrorKind::AlreadyExists => {
                Error::Exists { path: path.clone() }
            }
            _ => Error::File { path: path.clone(), error },
        };
        // A new file gets its mode as it is made; one that is replaced goes first, and its mode with it.
        if self.existing == Existing::Replace {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
                _ => {}
            }
        }
        let open = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
        let written = open.and_then(|mut file: File| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
        written.map_err(failed)?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_there_stays_unless_it_may_go() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("new/folder");
        let folder = Folder::open(&path, Existing::Keep).unwrap();
        folder.must_be_free(["a.key", "a.crt"]).unwrap();
        folder.write_key("a.key", "first").unwrap();
        let error = folder.must_be_free(["a.crt", "a.key"]).unwrap_err();
        assert!(matches!(&error, Error::Exists { path } if path.ends_with("a.key")), "{error}");
        assert!(matches!(folder.write_key("a.key", "second"), Err(Error::Exists { .. })));
        assert_eq!(std::fs::read_to_string(folder.path("a.key")).unwrap(), "first");

        let folder = Folder::open(&path, Existing::Replace).unwrap();
        folder.must_be_free(["a.key"]).unwrap();
        // A key that lay open to others does not stay so.
        std::fs::set_permissions(folder.path("a.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
        folder.write_key("a.key", "second").unwrap();
        folder.write_certificate("a.crt", "certificate").unwrap();
        assert_eq!(std::fs::read_to_string(folder.path("a.key")).unwrap(), "second");
        for (name, mode) in [("a.key", 0o600), ("a.crt", 0o644), ("", 0o700)] {
            let found = folder.path(name).metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(found & !mode, 0, "{name} is {found:o}");
        }
    }
}
