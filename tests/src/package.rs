//! A function's package, as `zip function.zip index.js` makes it.

use std::io::{Cursor, Write};

pub fn package(source: &str) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("index.js", zip::write::SimpleFileOptions::default()).expect("a zip entry");
    zip.write_all(source.as_bytes()).expect("room in memory");
    zip.finish().expect("a zip file").into_inner()
}
