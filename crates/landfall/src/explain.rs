//! `landfall explain`: why connections were refused or ended.

use std::fmt::Write;

use domain::admission::shown;
use fleet::uri_encoded;
use services::admission::AdmissionRecord;

use crate::cli::ExplainArguments;
use crate::{Sentence, client, serve};

pub fn main(arguments: &ExplainArguments) -> Result<(), Sentence> {
    let query = query(arguments);
    let answer = serve::block_on(client::get_own(&arguments.data_dir, "/_landfall/admission-records", &query))?;
    let records: Vec<AdmissionRecord> = serde_json::from_value(answer["admissionRecords"].clone())
        .map_err(|err| format!("the server's records cannot be read: {err}."))?;
    if arguments.json {
        for record in &records {
            say!("{}", serde_json::to_string(record).map_err(|err| err.to_string())?);
        }
        return Ok(());
    }
    if records.is_empty() {
        say!("No refused or ended connection fits. Connections that ended as the device asked leave no record.");
    }
    for record in &records {
        say!("{}", text(record));
    }
    Ok(())
}

fn query(arguments: &ExplainArguments) -> String {
    let mut query = format!("last={}", arguments.last);
    for (name, value) in
        [("certificateId", &arguments.certificate), ("clientId", &arguments.client_id), ("source", &arguments.source)]
    {
        if let Some(value) = value {
            let _ = write!(query, "&{name}={}", uri_encoded(value));
        }
    }
    query
}

/// What happened in the first line, the facts below it.
fn text(record: &AdmissionRecord) -> String {
    let mut text = format!("{}  {}\n  {}\n", record.at.to_rfc3339(), record.reason, record.sentence);
    if let (Some(last_at), 2..) = (record.last_at, record.count) {
        let _ = writeln!(text, "    {:<12}{} times, last at {}", "count", record.count, last_at.to_rfc3339());
    }
    let id = |id: &domain::CertificateId| id.to_string();
    for (name, value) in [
        ("from", Some(record.source.clone())),
        ("listener", Some(record.listener.clone())),
        ("client id", record.client_id.clone()),
        ("certificate", record.certificate_id.as_ref().map(id)),
        ("status", record.certificate_status.clone()),
        ("subject", record.certificate_subject.clone()),
        ("issuer", record.certificate_issuer.clone()),
        ("CA", record.ca_certificate_id.as_ref().map(id)),
        ("policy", record.policy_statement.clone()),
        ("TLS", record.tls_version.clone().map(|version| version + if record.tls_resumed { ", resumed" } else { "" })),
        ("SNI", record.sni.clone()),
        ("ALPN", record.alpn.clone()),
    ] {
        if let Some(value) = value {
            // A device chooses its client id, escape sequences and line breaks included.
            let _ = writeln!(text, "    {name:<12}{}", shown(&value));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::text;

    #[test]
    fn what_a_device_says_moves_no_cursor() {
        let client_id = "x\n    status      ACTIVE\u{1b}[2J\u{9b}31m\u{202e}";
        let record = json!({
            "at": 0, "source": "127.0.0.1:1", "listener": "127.0.0.1:2", "chain": [], "clientId": client_id,
            "reason": "NO_POLICY", "sentence": "No.", "sni": null, "alpn": null, "tlsVersion": null,
            "certificateId": null, "certificateSubject": null, "certificateIssuer": null, "certificateStatus": null,
            "caCertificateId": null, "policyStatement": null,
        });
        let text = text(&serde_json::from_value(record).expect("a record"));
        assert!(!text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{text:?}");
        assert_eq!(text.lines().filter(|line| line.contains("status")).count(), 1, "{text}");
        assert!(text.contains("client id   x\u{fffd}"), "{text}");
    }
}
