//! Writes a data directory of today's server to the file that is named: what later versions must open.
//! `cargo xtask keep-data-directory` calls it.

use std::fs;
use std::path::PathBuf;

use landfall_tests::{DataDir, Inhabitants, Server, fill, kept_options, zip_folder};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let path = PathBuf::from(std::env::args_os().nth(1).expect("the file to write"));
    let (data, all) = (DataDir::new(), DataDir::new());
    let server = Server::start_on(&data, &kept_options());
    let folder = all.file("inhabitants");
    fill(&server, &Inhabitants::in_folder(folder)).await;
    assert_eq!(server.terminate().0, Some(0), "an orderly end");
    fs::rename(data.server_path(), all.server_path()).expect("moved");
    fs::write(&path, zip_folder(all.path())).expect("room");
    println!("{} is written.", path.display());
}
