//! DeleteCertificate: the certificate goes, and with it all that was kept for it alone.

use domain::admission::CertificateStatus;
use store::Expect;

use super::certificate::{certificate_key, missing, state};
use super::shapes::DeleteCertificateRequest;
use super::{Iot, certificate_order};
use crate::outbox::registered_row_key;
use crate::record::{Found, delete};
use crate::{Error, Op};

impl Iot {
    /// The order of the checks is AWS's: the status, then things, then policies, which `forceDelete`
    /// detaches.
    ///
    /// A registration event that is still owed goes as well: it would say PENDING_ACTIVATION of what is not there, and a
    /// function could do nothing about it. An invocation that an event has already become runs, and finds nothing.
    pub async fn delete_certificate(&self, op: &Op, input: DeleteCertificateRequest) -> Result<(), Error> {
        let id = self.authorize_on_certificate(op, "iot:DeleteCertificate", &input.certificate_id)?;
        let services = &self.services;
        services
            .transact(|| {
                let Found { value: record, revision } = services.find_certificate(id)?.ok_or_else(missing)?;
                if record.status == CertificateStatus::Active {
                    return Err(state("Certificate must be deactivated (not ACTIVE) before deletion."));
                }
                if services.has_things(id)? {
                    let arn = services.certificate_arn(id);
                    let message = format!("Things must be detached before deletion (arn: {arn})");
                    return Err(Error::new("DeleteConflictException", message));
                }
                let detached = services.detach_all(id)?;
                if !detached.is_empty() && input.force_delete != Some(true) {
                    let arn = services.certificate_arn(id);
                    let message = format!("Certificate policies must be detached before deletion (arn: {arn})");
                    return Err(Error::new("DeleteConflictException", message));
                }
                // Attaching writes the certificate: no policy can come in between the looking and the deleting.
                let mut writes = vec![delete(certificate_key(id), Expect::Revision(revision))];
                writes.extend(certificate_order::leaving(id, &record));
                writes.extend(services.unsign(id, &record.certificate()?)?);
                writes.extend(detached);
                writes.push(delete(registered_row_key(id), Expect::Anything));
                Ok((writes, ()))
            })
            .await?;
        services.refresh_standing(id)?;
        tracing::info!(certificate_id = %id, "certificate deleted");
        Ok(())
    }
}
