//! `/_landfall/invocations` and `/_landfall/dead-letters`: what of the functions' events is still to be done and what was
//! given up. For the root, and for roles with `landfall:` actions in their policies.

use serde_json::json;
use services::{Error, Op};

use crate::message::{Answer, Head};
use crate::own_pages::{JSON, plain};
use crate::{Api, form};

/// Entries in an answer: without payloads, some hundred bytes each.
const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1000;

const LETTERS: &str = "dead-letters";

impl Api {
    /// `page` is the path below our own prefix. `None` if it is none of these pages.
    pub(crate) async fn dead_letter_page(&self, head: &Head, page: &str, request_id: &str) -> Option<Answer> {
        let (noun, rest) = page.split_once('/').unwrap_or((page, ""));
        let (id, verb) = rest.split_once('/').unwrap_or((rest, ""));
        if noun != LETTERS && page != "invocations" {
            return None;
        }
        let op = match self.signed_op(head, request_id) {
            Ok(op) => op,
            Err(answer) => return Some(*answer),
        };
        let letters = self.inner.services.dead_letters();
        let answered = match (head.method.as_str(), noun, id, verb) {
            ("GET", "invocations", "", "") => self.pending(&op, head).await,
            ("GET", LETTERS, "", "") => self.letters(&op, head).await,
            ("GET", LETTERS, id, "") => letters.describe(&op, id).await.map(|letter| json!(letter)),
            ("POST", LETTERS, id, "replay") if !id.is_empty() => {
                letters.replay(&op, id).await.map(|id| json!({ "invocationId": id }))
            }
            ("DELETE", LETTERS, id, "") if !id.is_empty() => letters.drop_one(&op, id).await.map(|()| json!({})),
            _ => return None,
        };
        Some(match answered {
            Ok(body) => Answer::new(200, JSON, body.to_string()),
            Err(error) => plain(status(&error), &error.message),
        })
    }

    async fn letters(&self, op: &Op, head: &Head) -> Result<serde_json::Value, Error> {
        let (after, limit) = asked(&head.query)?;
        Ok(json!(self.inner.services.dead_letters().list(op, after.as_deref(), limit).await?))
    }

    async fn pending(&self, op: &Op, head: &Head) -> Result<serde_json::Value, Error> {
        let (after, limit) = asked(&head.query)?;
        Ok(json!(self.inner.services.pending_invocations(op, after.as_deref(), limit).await?))
    }
}

/// `?after=&limit=`
fn asked(query: &str) -> Result<(Option<String>, usize), Error> {
    let wrong = |text: &str| Error::new("InvalidRequestException", text);
    let pairs = form::pairs(query).ok_or_else(|| wrong("The query string does not decode."))?;
    let (mut after, mut limit) = (None, LIMIT_DEFAULT);
    for (name, value) in pairs {
        match name.as_str() {
            "after" => after = Some(value),
            "limit" => {
                let number = value.parse::<usize>().ok().filter(|number| (1..=LIMIT_MAX).contains(number));
                limit = number.ok_or_else(|| wrong("`limit` is a number from 1 to 1000."))?;
            }
            // A presigned request's own parameters, and whatever a later version knows.
            _ => {}
        }
    }
    Ok((after, limit))
}

fn status(error: &Error) -> u16 {
    match error.code {
        "InvalidRequestException" => 400,
        "AccessDeniedException" => 403,
        "ResourceNotFoundException" => 404,
        "ThrottlingException" => 429,
        _ => 500,
    }
}

#[cfg(test)]
mod tests {
    use super::asked;

    #[test]
    fn questions() {
        for (query, expected) in [
            ("", Ok((None, 100))),
            ("limit=5&after=a%2Fb&X-Amz-Date=1", Ok((Some("a/b".to_owned()), 5))),
            ("limit=0", Err("`limit` is a number from 1 to 1000.")),
            ("limit=1001", Err("`limit` is a number from 1 to 1000.")),
            ("after=%ff", Err("The query string does not decode.")),
        ] {
            assert_eq!(asked(query).map_err(|err| err.message), expected.map_err(str::to_owned), "{query}");
        }
    }
}
