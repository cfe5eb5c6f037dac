//! Zip files: a function's package, as `zip function.zip index.js` makes it, and whole folders.

use std::fs::{self, Permissions};
use std::io::{Cursor, Read, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

pub fn package(source: &str) -> Vec<u8> {
    package_of("index.js", source)
}

/// With its one file under another name.
pub fn package_of(file: &str, source: &str) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file(file, zip::write::SimpleFileOptions::default()).expect("a zip entry");
    zip.write_all(source.as_bytes()).expect("room in memory");
    zip.finish().expect("a zip file").into_inner()
}

/// Everything below `folder`, without modes and times, which a repository does not keep either.
pub fn zip_folder(folder: &Path) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    add_folder(&mut zip, folder, "");
    zip.finish().expect("a zip file").into_inner()
}

fn add_folder(zip: &mut zip::ZipWriter<impl Write + Seek>, folder: &Path, prefix: &str) {
    let mut entries: Vec<_> = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable")).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = format!("{prefix}{}", entry.file_name().to_str().expect("a name in UTF-8"));
        if entry.file_type().expect("a type").is_dir() {
            add_folder(zip, &entry.path(), &format!("{name}/"));
        } else {
            zip.start_file(name, zip::write::SimpleFileOptions::default()).expect("a zip entry");
            zip.write_all(&fs::read(entry.path()).expect("readable")).expect("room in memory");
        }
    }
}

/// For the owner only, as a server wants its data directory.
pub fn unzip_folder(bytes: &[u8], folder: &Path) {
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).expect("a zip file");
    for index in 0..zip.len() {
        let mut file = zip.by_index(index).expect("a zip entry");
        let path = folder.join(file.enclosed_name().expect("a name below the folder"));
        let mut content = Vec::new();
        file.read_to_end(&mut content).expect("a whole entry");
        let parent = path.parent().expect("below the folder");
        fs::create_dir_all(parent).expect("room for a folder");
        fs::set_permissions(parent, Permissions::from_mode(0o700)).expect("its owner");
        fs::write(&path, content).expect("room for a file");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("its owner");
    }
}
