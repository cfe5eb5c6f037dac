//! IAM's policies, compiled. They are looked up by their text, which never compiles to anything else: a policy that changes
//! is another text, and nothing here is ever out of date.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::iam::{Kind, PolicyDocument};

use crate::Error;

/// Characters of the texts kept. Every call of every function is judged by its role's few; when so much is there, all goes.
const CHARS_MAX: usize = 1 << 20;

#[derive(Default)]
pub(crate) struct PolicyDocuments(Mutex<Compiled>);

#[derive(Default)]
struct Compiled {
    identity: HashMap<String, Arc<PolicyDocument>>,
    resource: HashMap<String, Arc<PolicyDocument>>,
    chars: usize,
}

impl PolicyDocuments {
    /// `name` is for the error: whose the text is.
    pub(crate) fn compiled(&self, name: &str, text: &str, kind: Kind) -> Result<Arc<PolicyDocument>, Error> {
        let mut compiled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(document) = compiled.of(kind).get(text) {
            return Ok(document.clone());
        }
        let document = PolicyDocument::parse(text, kind)
            .map_err(|err| Error::internal(format!("the policy {name} cannot be read: {err:?}")))?;
        let document = Arc::new(document);
        if compiled.chars.saturating_add(text.len()) > CHARS_MAX {
            *compiled = Compiled::default();
        }
        compiled.chars = compiled.chars.saturating_add(text.len());
        compiled.of(kind).insert(text.to_owned(), document.clone());
        Ok(document)
    }
}

impl Compiled {
    fn of(&mut self, kind: Kind) -> &mut HashMap<String, Arc<PolicyDocument>> {
        match kind {
            Kind::Identity => &mut self.identity,
            Kind::Resource => &mut self.resource,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(action: &str, statements: usize) -> String {
        let statement = format!(r#"{{"Effect":"Allow","Action":"{action}","Resource":"*"}}"#);
        format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, vec![statement; statements].join(","))
    }

    #[test]
    fn a_text_is_compiled_once_and_memory_is_bounded() {
        let documents = PolicyDocuments::default();
        let first = documents.compiled("p", &text("iot:A", 1), Kind::Identity).expect("good");
        assert!(Arc::ptr_eq(&first, &documents.compiled("q", &text("iot:A", 1), Kind::Identity).expect("good")));
        assert!(!Arc::ptr_eq(&first, &documents.compiled("p", &text("iot:B", 1), Kind::Identity).expect("good")));
        assert!(documents.compiled("p", "no policy", Kind::Identity).is_err());
        for number in 0..2000 {
            documents.compiled("p", &text(&format!("iot:A{number}"), 20), Kind::Identity).expect("good");
            let compiled = documents.0.lock().expect("no panic");
            assert!(compiled.chars <= CHARS_MAX);
            assert_eq!(compiled.chars, compiled.identity.keys().map(String::len).sum::<usize>());
        }
        assert!(!Arc::ptr_eq(&first, &documents.compiled("p", &text("iot:A", 1), Kind::Identity).expect("good")));
    }
}
