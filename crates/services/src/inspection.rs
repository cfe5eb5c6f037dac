//! What an operator looks at before there is trouble: CAs that end, functions that cannot run, work that was given up.

use domain::admission::CaStatus;
use domain::{CertificateId, Timestamp};
use serde::{Deserialize, Serialize};
use store::BlobId;

use crate::iot::ca_certificate::{CaRecord, PREFIX as CAS};
use crate::lambda::function::PREFIX as FUNCTIONS;
use crate::{Error, Services};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    pub cas: Vec<InspectedCa>,
    pub functions: Vec<InspectedFunction>,
    pub dead_letters: usize,
    /// Why nothing is written any more, if so.
    pub store_failure: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InspectedCa {
    pub id: CertificateId,
    pub subject: String,
    pub is_active: bool,
    pub not_after: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InspectedFunction {
    pub name: String,
    /// Why it cannot run, and what to do.
    pub problem: Option<String>,
}

impl Services {
    pub fn inspect(&self) -> Result<Inspection, Error> {
        let mut cas = Vec::new();
        for (id, found) in self.find_all::<CaRecord>(CAS)? {
            let certificate = found.value.certificate()?;
            cas.push(InspectedCa {
                id: id.parse().map_err(|_| Error::internal(format!("the key {CAS}{id} names no certificate")))?,
                subject: certificate.subject().to_text(),
                is_active: found.value.status == CaStatus::Active,
                not_after: certificate.not_after(),
            });
        }
        let mut functions = Vec::new();
        for name in self.keys_below(FUNCTIONS)? {
            let problem = self.problem_of(&name)?;
            functions.push(InspectedFunction { name, problem });
        }
        let store_failure = self.store().failure().map(|failure| failure.to_string());
        Ok(Inspection { cas, functions, dead_letters: self.invocation_counts().dead_letters, store_failure })
    }

    fn problem_of(&self, name: &str) -> Result<Option<String>, Error> {
        let spec = self.lambda().spec_of(name)?;
        if !self.has_blob(spec.blob)? {
            return Ok(Some("its code is missing; upload it again: aws lambda update-function-code".to_owned()));
        }
        let role = &spec.session.role_arn;
        let problem =
            |err: Error| format!("its role {role} cannot be used ({}); create it, or give it another", err.message);
        Ok(self.lambda().must_hold_role(&spec).err().map(problem))
    }

    fn has_blob(&self, id: BlobId) -> Result<bool, Error> {
        self.store().blobs().has(id).map_err(|err| Error::internal(err.to_string()))
    }
}
