//! `landfall dead-letters` and `landfall invocations`: events that their function failed, and events that still wait.

use std::fmt::Write;
use std::path::Path;

use domain::admission::shown;
use fleet::{Method, uri_encoded};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use services::invocation::dead_letter::{DeadLetter, DeadLetterPage};
use services::invocation::pending::{PendingInvocation, PendingPage};

use crate::cli::{DeadLetterVerb, DeadLettersArguments, InvocationsArguments};
use crate::{Sentence, client, serve};

const LETTERS: &str = "/_landfall/dead-letters";

pub fn main(arguments: &DeadLettersArguments) -> Result<(), Sentence> {
    let data_dir = &arguments.data_dir;
    serve::block_on(async {
        match &arguments.verb {
            None => list(data_dir, arguments.json).await,
            Some(DeadLetterVerb::Show { id }) => {
                let letter = client::get_own(data_dir, &path_of(id), "").await?;
                say!("{}", serde_json::to_string_pretty(&letter).map_err(|err| err.to_string())?);
                Ok(())
            }
            Some(DeadLetterVerb::Replay { ids, all }) => {
                for id in named(data_dir, ids, *all).await? {
                    let path = format!("{}/replay", path_of(&id));
                    let answer = client::call_own(data_dir, Method::POST, &path, "").await?;
                    say!("{id} replayed as {}", answer["invocationId"].as_str().unwrap_or_default());
                }
                Ok(())
            }
            Some(DeadLetterVerb::Drop { ids, all }) => {
                for id in named(data_dir, ids, *all).await? {
                    client::call_own(data_dir, Method::DELETE, &path_of(&id), "").await?;
                    say!("{id} dropped");
                }
                Ok(())
            }
        }
    })
}

/// `landfall invocations`.
pub fn pending(arguments: &InvocationsArguments) -> Result<(), Sentence> {
    serve::block_on(async {
        let (mut query, mut count) = (String::new(), 0);
        loop {
            let answer = client::get_own(&arguments.data_dir, "/_landfall/invocations", &query).await?;
            let page: PendingPage = read(answer)?;
            count += page.invocations.len();
            for invocation in &page.invocations {
                say!("{}", if arguments.json { line(invocation)? } else { pending_text(invocation) });
            }
            let Some(next) = page.next else { break };
            query = after(&next);
        }
        if count == 0 && !arguments.json {
            say!("No asynchronous invocation waits.");
        }
        Ok(())
    })
}

async fn list(data_dir: &Path, as_json: bool) -> Result<(), Sentence> {
    let letters = all(data_dir).await?;
    if letters.is_empty() && !as_json {
        say!("No dead letters: no asynchronous invocation was given up.");
    }
    for letter in &letters {
        say!("{}", if as_json { line(letter)? } else { letter_text(letter) });
    }
    Ok(())
}

async fn all(data_dir: &Path) -> Result<Vec<DeadLetter>, Sentence> {
    let (mut letters, mut query) = (Vec::new(), String::new());
    loop {
        let page: DeadLetterPage = read(client::get_own(data_dir, LETTERS, &query).await?)?;
        letters.extend(page.dead_letters);
        let Some(next) = page.next else { return Ok(letters) };
        query = after(&next);
    }
}

/// The letters that are meant: those named, or all that are there now.
async fn named(data_dir: &Path, ids: &[String], is_all: bool) -> Result<Vec<String>, Sentence> {
    match (ids, is_all) {
        ([], true) => Ok(all(data_dir).await?.into_iter().map(|letter| letter.id).collect()),
        ([], false) => Err("name a dead letter's id, or say --all; landfall dead-letters lists them.".into()),
        (ids, _) => Ok(ids.to_vec()),
    }
}

fn path_of(id: &str) -> String {
    format!("{LETTERS}/{}", uri_encoded(id))
}

fn after(id: &str) -> String {
    format!("after={}", uri_encoded(id))
}

fn read<T: DeserializeOwned>(answer: Value) -> Result<T, Sentence> {
    serde_json::from_value(answer).map_err(|err| format!("the server's answer cannot be read: {err}.").into())
}

fn line<T: Serialize>(value: &T) -> Result<String, Sentence> {
    serde_json::to_string(value).map_err(|err| err.to_string().into())
}

/// What happened in the first line, the facts below it.
fn letter_text(letter: &DeadLetter) -> String {
    let mut text = format!("{}  {}  {}\n", letter.given_up_at.to_rfc3339(), letter.condition, letter.id);
    for (name, value) in [
        ("function", letter.function_arn.clone()),
        ("rule", letter.rule.clone().unwrap_or_default()),
        ("request", letter.request_id.clone()),
        ("accepted", letter.accepted_at.to_rfc3339()),
        ("failures", letter.failures.to_string()),
        ("event", format!("{} bytes", letter.payload_bytes)),
        ("answer", letter.response.clone()),
    ] {
        if !value.is_empty() {
            // A function's answer may be a device's own text.
            let _ = writeln!(text, "    {name:<12}{}", shown(&value));
        }
    }
    text
}

fn pending_text(invocation: &PendingInvocation) -> String {
    let rule = invocation.rule.as_ref().map(|rule| format!("  rule {rule}")).unwrap_or_default();
    format!(
        "{}  next {}  {}{rule}  {} failures, {} delays, {} bytes",
        invocation.id,
        invocation.next_at.to_rfc3339(),
        invocation.function_arn,
        invocation.failures,
        invocation.delays,
        invocation.payload_bytes,
    )
}
