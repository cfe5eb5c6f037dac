//! Zips as strangers upload them.

use std::io::{Cursor, Write};

use functions::Package;
use functions::limits::{PACKAGE_ENTRIES_MAX, PACKAGE_UNZIPPED_BYTES_MAX};
use proptest::prelude::{any, proptest};
use proptest::test_runner::Config;
use zip::write::{SimpleFileOptions, ZipWriter};

fn zip_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        if name.ends_with('/') {
            zip.add_directory(*name, SimpleFileOptions::default()).expect("a folder");
        } else {
            zip.start_file(*name, SimpleFileOptions::default()).expect("a file");
            zip.write_all(content).expect("written");
        }
    }
    zip.finish().expect("a zip").into_inner()
}

/// Writes some bytes in place of as many others: the writer itself refuses some names, and never lies.
fn replaced(zip: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = zip.to_vec();
    for at in 0..bytes.len().saturating_sub(from.len()) {
        if bytes[at..].starts_with(from) {
            bytes[at..at + from.len()].copy_from_slice(to);
        }
    }
    bytes
}

fn renamed(zip: &[u8], from: &str, to: &str) -> Vec<u8> {
    replaced(zip, from.as_bytes(), to.as_bytes())
}

#[test]
fn files_and_folders_are_found() {
    let package =
        Package::read(&zip_of(&[("lib/", b""), ("index.js", b"1"), ("lib/deep/a.js", b"2")])).expect("a package");
    assert_eq!(package.file("index.js"), Some(b"1".as_slice()));
    assert_eq!(package.file("lib/deep/a.js"), Some(b"2".as_slice()));
    assert_eq!(package.file("lib"), None);
    assert!(
        package.is_folder("lib/deep") && package.is_folder("lib") && package.is_folder("") && !package.is_folder("li")
    );
}

#[test]
fn bad_zips_are_refused_by_entry() {
    let many: Vec<(String, Vec<u8>)> = (0..=PACKAGE_ENTRIES_MAX).map(|at| (format!("f{at}"), Vec::new())).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
    let zeros = vec![0; 1_000_003];
    let too_large = u32::try_from(PACKAGE_UNZIPPED_BYTES_MAX).expect("fits") + 1;
    let boast = replaced(&zip_of(&[("big.js", &zeros)]), &1_000_003_u32.to_le_bytes(), &too_large.to_le_bytes());
    let plain = zip_of(&[("index.js", b"exports"), ("other.js", b"x")]);
    let mut link = ZipWriter::new(Cursor::new(Vec::new()));
    link.add_symlink("link.js", "/etc/passwd", SimpleFileOptions::default()).expect("a link");
    let link = link.finish().expect("a zip").into_inner();
    let mut cut = plain.clone();
    cut.truncate(plain.len() / 2);
    for (zip, expected) in [
        (b"not a zip".to_vec(), "this is not a zip"),
        (cut, "this is not a zip"),
        (zip_of(&many), "the zip has 5001 entries, 5000 are allowed"),
        (boast, "\"big.js\" brings the unzipped size over"),
        (zip_of(&[("zeros.js", &zeros)]), "\"zeros.js\" is compressed more than 200 to 1"),
        (renamed(&plain, "index.js", "../ex.js"), "the name \"../ex.js\" has an empty, \".\" or \"..\" part"),
        (renamed(&plain, "index.js", "/ndex.js"), "the name \"/ndex.js\" is absolute"),
        (renamed(&plain, "index.js", "in\\ex.js"), "the name \"in\\\\ex.js\" contains a backslash"),
        (renamed(&plain, "index.js", "in\0ex.js"), "the name \"in\\0ex.js\" contains a control character"),
        (renamed(&plain, "index.js", "other.js"), "a name is there twice"),
        (zip_of(&[("a", b"1"), ("a/b", b"2")]), "\"a\" is both a file and a folder"),
        (link, "\"link.js\" is a symbolic link"),
    ] {
        let error = Package::read(&zip).expect_err(expected);
        assert!(error.0.starts_with(expected), "{error} instead of {expected}");
    }
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::with_cases(300) })]

    #[test]
    fn a_damaged_zip_never_panics(at in any::<proptest::sample::Index>(), value in any::<u8>(), more in any::<proptest::sample::Index>(), cut in any::<proptest::sample::Index>()) {
        let mut zip = zip_of(&[("index.js", b"exports.handler = async () => 1"), ("lib/", b""), ("lib/a.js", &[7; 3000])]);
        let length = zip.len();
        zip[at.index(length)] = value;
        zip[more.index(length)] ^= 0x55;
        Package::read(&zip).ok();
        zip.truncate(cut.index(length));
        Package::read(&zip).ok();
    }

    #[test]
    fn noise_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        assert!(Package::read(&bytes).is_err());
    }
}
