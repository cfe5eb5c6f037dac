//! `/_landfall/...`: what AWS has no operation for. Health, metrics and the root CA are for anybody who can reach the port;
//! admission records and the inspection are for the account's root, events of functions also for roles that may.

use bytes::Bytes;
use domain::CertificateId;
use serde_json::json;
use services::admission::AdmissionFilter;
use services::{Caller, Op};

use crate::authentication::{self, IsGlobal};
use crate::errors::Fault;
use crate::limits::ADMISSION_RECORDS_MAX;
use crate::message::{Answer, Head};
use crate::{Api, form};

const PREFIX: &str = "/_landfall/";
pub(crate) const JSON: &str = "application/json";

/// Records in an answer when the request does not say.
const LAST_DEFAULT: usize = 20;

/// Whether the path is one of ours.
pub(crate) fn is_own(path: &str) -> bool {
    path.starts_with(PREFIX)
}

impl Api {
    /// Our own pages take no body.
    pub(crate) async fn own_page(&self, head: &Head, request_id: &str) -> Answer {
        let page = head.path.strip_prefix(PREFIX).unwrap_or_default();
        // A signature does not cover them, as with AWS's paths.
        if page.split('/').any(|segment| matches!(segment, "." | "..")) {
            return plain(404, "Landfall has no such page.");
        }
        if let Some(answer) = self.dead_letter_page(head, page, request_id).await {
            return answer;
        }
        match (head.method.as_str(), page) {
            ("GET", "health") => self.health(),
            ("GET", "metrics") => self.metrics_page(),
            ("GET", "root-ca.pem") => {
                Answer::new(200, "application/x-pem-file", self.inner.settings.root_ca_pem.clone())
            }
            ("GET", "admission-records") => match self.root_only(head, request_id) {
                Ok(()) => self.admission_records(head),
                Err(answer) => *answer,
            },
            ("GET", "inspection") => match self.root_only(head, request_id) {
                Ok(()) => self.inspection(),
                Err(answer) => *answer,
            },
            ("GET", _) => plain(404, "Landfall has no such page."),
            _ => plain(405, "Landfall's own pages answer GET."),
        }
    }

    /// Whoever signed the request, for our own service name.
    pub(crate) fn signed_op(&self, head: &Head, request_id: &str) -> Result<Op, Box<Answer>> {
        let services = &self.inner.services;
        let refuse = |fault| Box::new(unauthenticated(&fault));
        let claim = authentication::claim(head).map_err(refuse)?;
        let credential = authentication::credential(services, &claim).map_err(refuse)?;
        authentication::check_scope(&claim, &services.config().region, IsGlobal::No).map_err(refuse)?;
        if claim.service != "landfall" {
            return Err(Box::new(plain(403, "Credential should be scoped to correct service: 'landfall'.")));
        }
        let now = services.now();
        self.inner.keys.verify(head, &Bytes::new(), &claim, &credential, now).map_err(refuse)?;
        Ok(Op { caller: credential.caller, now, request_id: request_id.to_owned(), via: None })
    }

    fn root_only(&self, head: &Head, request_id: &str) -> Result<(), Box<Answer>> {
        match self.signed_op(head, request_id)?.caller {
            Caller::Root { .. } => Ok(()),
            Caller::Role(_) | Caller::Session(_) => {
                Err(Box::new(plain(403, "Only the account's root may read this page.")))
            }
        }
    }

    /// For `landfall doctor`.
    fn inspection(&self) -> Answer {
        match self.inner.services.inspect() {
            Ok(inspection) => Answer::new(200, JSON, json!({ "inspection": inspection }).to_string()),
            Err(err) => plain(500, &err.message),
        }
    }

    /// `?last=&certificateId=&clientId=&source=`, newest first.
    fn admission_records(&self, head: &Head) -> Answer {
        match asked(&head.query) {
            Ok((filter, last)) => {
                let records = self.inner.services.admission_records(&filter, last);
                Answer::new(200, JSON, json!({ "admissionRecords": records }).to_string())
            }
            Err(sentence) => plain(400, sentence),
        }
    }
}

fn asked(query: &str) -> Result<(AdmissionFilter, usize), &'static str> {
    let pairs = form::pairs(query).ok_or("The query string does not decode.")?;
    let mut filter = AdmissionFilter::default();
    let mut last = LAST_DEFAULT;
    for (name, value) in pairs {
        match name.as_str() {
            "last" => {
                let number = value.parse::<usize>().ok().filter(|number| (1..=ADMISSION_RECORDS_MAX).contains(number));
                last = number.ok_or("`last` is a number from 1 to 1000.")?;
            }
            "certificateId" => {
                let id = value.parse::<CertificateId>();
                filter.certificate_id = Some(id.map_err(|_| "`certificateId` is 64 hexadecimal digits.")?);
            }
            "clientId" => filter.client_id = Some(value),
            "source" => filter.source = Some(value),
            // A presigned request's own parameters, and whatever a later version knows.
            _ => {}
        }
    }
    Ok((filter, last))
}

fn unauthenticated(fault: &Fault) -> Answer {
    match fault {
        Fault::MissingToken => {
            plain(403, "Sign the request for the service `landfall`, with credentials of this server.")
        }
        Fault::IncompleteSignature(text) | Fault::BadSignature(text) => plain(403, text),
        _ => plain(403, "The security token included in the request is invalid."),
    }
}

pub(crate) fn plain(status: u16, sentence: &str) -> Answer {
    Answer::new(status, JSON, json!({ "message": sentence }).to_string())
}

#[cfg(test)]
mod tests {
    use super::asked;

    #[test]
    fn questions() {
        let id = "ab".repeat(32);
        for (query, expected) in [
            ("", Ok(20)),
            ("last=5&clientId=a%20b&source=127.0.0.1", Ok(5)),
            (&format!("certificateId={id}"), Ok(20)),
            ("certificateId=xyz", Err("`certificateId` is 64 hexadecimal digits.")),
            ("last=0", Err("`last` is a number from 1 to 1000.")),
            ("last=1001", Err("`last` is a number from 1 to 1000.")),
            ("clientId=%ff", Err("The query string does not decode.")),
        ] {
            assert_eq!(asked(query).map(|(_, last)| last), expected, "{query}");
        }
        let (filter, _) = asked("clientId=a%20b").expect("a good question");
        assert_eq!(filter.client_id.as_deref(), Some("a b"));
    }
}
