//! The event of just-in-time registration, published on `$aws/events/certificates/registered/<caCertificateId>`.
//! It owns the topic and the JSON text; when the event is due is decided by admission.

use serde::Serialize;

use crate::{AccountId, CertificateId, Timestamp};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredEvent {
    pub certificate: CertificateId,
    pub ca: CertificateId,
    pub timestamp: Timestamp,
    pub account: AccountId,
    /// `None` on the first event of a certificate, then the moment of its registration.
    pub registered_at: Option<Timestamp>,
}

/// The members in the order of AWS's own payloads: some functions in the field compare text.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    certificate_id: CertificateId,
    ca_certificate_id: CertificateId,
    timestamp: Timestamp,
    certificate_status: &'static str,
    aws_account_id: &'a str,
    /// Milliseconds as a string, while `timestamp` is a number: measured on AWS.
    certificate_registration_timestamp: Option<String>,
}

impl RegisteredEvent {
    pub fn topic(&self) -> String {
        format!("$aws/events/certificates/registered/{}", self.ca)
    }

    /// JSON text with AWS's members in AWS's order.
    pub fn payload(&self) -> String {
        let wire = Wire {
            certificate_id: self.certificate,
            ca_certificate_id: self.ca,
            timestamp: self.timestamp,
            certificate_status: "PENDING_ACTIVATION",
            aws_account_id: self.account.as_str(),
            certificate_registration_timestamp: self.registered_at.map(|moment| moment.millis().to_string()),
        };
        serde_json::to_string(&wire).expect("strings and numbers always serialise")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_first_and_a_string_later() {
        let certificate = "11".repeat(32);
        let ca = "ab".repeat(32);
        for (registered_at, expected) in [(None, "null"), (Some(1_623_723_165_331), "\"1623723165331\"")] {
            let event = RegisteredEvent {
                certificate: certificate.parse().unwrap(),
                ca: ca.parse().unwrap(),
                timestamp: Timestamp::from_millis(1_623_724_243_659),
                account: "123456789012".parse().unwrap(),
                registered_at: registered_at.map(Timestamp::from_millis),
            };
            assert_eq!(event.topic(), format!("$aws/events/certificates/registered/{ca}"));
            assert_eq!(
                event.payload(),
                format!(
                    r#"{{"certificateId":"{certificate}","caCertificateId":"{ca}","timestamp":1623724243659,"certificateStatus":"PENDING_ACTIVATION","awsAccountId":"123456789012","certificateRegistrationTimestamp":{expected}}}"#
                )
            );
        }
    }
}
