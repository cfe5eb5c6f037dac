//! A function's zip, as CreateFunction gets it.

use functions::Package;
use functions::limits::{
    PACKAGE_ENTRIES_MAX, PACKAGE_NAME_BYTES_MAX, PACKAGE_UNZIPPED_BYTES_MAX, PACKAGE_ZIP_BYTES_MAX,
};

pub fn packages(data: &[u8]) {
    let package = match Package::read(data) {
        Ok(package) => package,
        Err(error) => {
            let sentence = error.to_string();
            assert!(!sentence.is_empty() && sentence.len() < 8192, "{sentence}");
            return;
        }
    };
    assert!(data.len() <= PACKAGE_ZIP_BYTES_MAX);
    let (mut count, mut bytes) = (0, 0);
    for path in package.paths() {
        // Relative, and made of plain names: a script's path can never lead out of its package.
        assert!(path.len() <= PACKAGE_NAME_BYTES_MAX && !path.chars().any(char::is_control), "{path:?}");
        assert!(path.split('/').all(|part| !["", ".", ".."].contains(&part) && !part.contains('\\')), "{path:?}");
        assert!(!package.is_folder(path), "{path:?} is a file");
        let mut above = path;
        while let Some((folder, _)) = above.rsplit_once('/') {
            assert!(package.is_folder(folder) && package.file(folder).is_none(), "{folder:?} is a folder");
            above = folder;
        }
        count += 1;
        bytes += package.file(path).expect("a path names a file").len();
    }
    assert!(count <= PACKAGE_ENTRIES_MAX && bytes as u64 <= PACKAGE_UNZIPPED_BYTES_MAX);
    let again = Package::read(data).expect("the same zip");
    assert!(again.paths().eq(package.paths()), "the same each time");
}
