//! A client of the running server, for the verbs that ask it something: found through `run.json`, signed with the root
//! credentials that only the data directory's owner can read.

use std::path::Path;
use std::time::Duration;

use fleet::{AwsClient, AwsRequest, AwsResponse, ClientTls, Credentials, Method};

use crate::Sentence;
use crate::data_dir::DataDir;
use crate::run_file::RunFile;
use crate::server_certificate::reachable;

/// A server on this machine that takes longer does not answer at all.
const DEADLINE: Duration = Duration::from_secs(10);

/// A client with the root's credentials for a server's API.
pub fn of(run: &RunFile, data_dir: &DataDir) -> Result<AwsClient, Sentence> {
    let root = data_dir.read_root_credentials()?;
    let credentials = Credentials {
        access_key_id: root.access_key_id,
        secret_access_key: root.secret_access_key,
        session_token: None,
    };
    if !run.has_tls() {
        return AwsClient::new(&run.api_url, &run.region, credentials).map_err(|err| err.to_string().into());
    }
    // By the address that is bound, under the name that the certificate has.
    let addr = reachable(run.api_addr);
    let tls = ClientTls::new(&run.root_ca_pem, run.api_host());
    let client =
        tls.and_then(|tls| AwsClient::with_tls(&addr.ip().to_string(), addr.port(), &tls, &run.region, credentials));
    client.map_err(|err| {
        format!("{}: {err}. Name the root CA of the server's certificate with --server-ca.", run.api_url).into()
    })
}

/// GET on one of our own pages, which must succeed.
pub async fn get_own(data_dir: &Path, path: &str, query: &str) -> Result<serde_json::Value, Sentence> {
    call_own(data_dir, Method::GET, path, query).await
}

/// A request without a body to one of our own pages, which must succeed.
pub async fn call_own(data_dir: &Path, method: Method, path: &str, query: &str) -> Result<serde_json::Value, Sentence> {
    let answer = send_own(data_dir, method, path, query).await?;
    if answer.status != 200 {
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        return Err(format!("the server answered {}: {text}", answer.status).into());
    }
    serde_json::from_slice(&answer.body).map_err(|err| format!("the server's answer is not JSON: {err}.").into())
}

/// GET on one of our own pages, whatever the answer.
pub async fn ask_own(data_dir: &Path, path: &str, query: &str) -> Result<AwsResponse, Sentence> {
    send_own(data_dir, Method::GET, path, query).await
}

async fn send_own(data_dir: &Path, method: Method, path: &str, query: &str) -> Result<AwsResponse, Sentence> {
    let data_dir = DataDir::existing(data_dir)?;
    let run = RunFile::read(&data_dir)?;
    let client = of(&run, &data_dir)?;
    let request = AwsRequest { service: "landfall", method, path, query, ..AwsRequest::default() };
    match client.with_deadline(DEADLINE).call(&request).await {
        Err(err) => Err(format!(
            "the server at {} cannot be reached ({err}). If it is gone, start it again: landfall serve --data-dir {}",
            run.api_url,
            data_dir.path().display()
        )
        .into()),
        Ok(answer) => Ok(answer),
    }
}
