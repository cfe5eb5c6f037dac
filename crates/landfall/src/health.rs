//! `landfall health`: the running server's own page about itself, for people, scripts and container engines.

use crate::cli::HealthArguments;
use crate::{Sentence, client, serve};

pub fn main(arguments: &HealthArguments) -> Result<(), Sentence> {
    let answer = serve::block_on(client::ask_own(&arguments.data_dir, "/_landfall/health", ""))?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let page: serde_json::Value =
        serde_json::from_str(&text).map_err(|err| format!("the server's answer is not JSON: {err}."))?;
    say!("{}", serde_json::to_string_pretty(&page).map_err(|err| err.to_string())?);
    match (answer.status, page["store"]["failure"].as_str()) {
        (200, _) => Ok(()),
        (_, Some(failure)) => Err(failure.into()),
        (status, None) => {
            Err(format!("the server is not ready (it answers {status}); landfall serve says on standard error why.")
                .into())
        }
    }
}
