//! The registration code: proves, inside a verification certificate, that the caller holds a CA's private key.

use serde::{Deserialize, Serialize};
use store::Expect;

use super::Iot;
use super::shapes::{
    DeleteRegistrationCodeRequest, DeleteRegistrationCodeResponse, GetRegistrationCodeRequest,
    GetRegistrationCodeResponse,
};
use crate::record::{Committed, Stored, delete, put};
use crate::{Error, Op, random};

const KEY: &str = "iot/registration-code";

#[derive(Serialize, Deserialize)]
struct RegistrationCodeRecord {
    code: String,
}

impl Stored for RegistrationCodeRecord {
    const VERSION: u32 = 1;
}

impl Iot {
    /// Made on the first call, the same from then on until it is deleted.
    pub async fn get_registration_code(
        &self,
        op: &Op,
        _input: GetRegistrationCodeRequest,
    ) -> Result<GetRegistrationCodeResponse, Error> {
        self.authorize(op, "iot:GetRegistrationCode", "*")?;
        loop {
            if let Some(code) = self.registration_code()? {
                return Ok(GetRegistrationCodeResponse { registration_code: Some(code) });
            }
            let record = RegistrationCodeRecord { code: random::hex_of::<32>() };
            if self.services.commit(vec![put(KEY, &record, Expect::Absent)]).await? == Committed::Done {
                return Ok(GetRegistrationCodeResponse { registration_code: Some(record.code) });
            }
        }
    }

    /// From here on no verification certificate that was signed over the old code registers a CA.
    pub async fn delete_registration_code(
        &self,
        op: &Op,
        _input: DeleteRegistrationCodeRequest,
    ) -> Result<DeleteRegistrationCodeResponse, Error> {
        self.authorize(op, "iot:DeleteRegistrationCode", "*")?;
        self.services
            .transact(|| {
                let found = self.services.find::<RegistrationCodeRecord>(KEY)?.ok_or_else(missing)?;
                let writes = vec![delete(KEY, Expect::Revision(found.revision))];
                Ok((writes, DeleteRegistrationCodeResponse {}))
            })
            .await
    }

    /// The code as it stands; `None` where nobody has asked for one.
    pub(crate) fn registration_code(&self) -> Result<Option<String>, Error> {
        Ok(self.services.find::<RegistrationCodeRecord>(KEY)?.map(|found| found.value.code))
    }
}

fn missing() -> Error {
    Error::new("ResourceNotFoundException", "There is no registration code; GetRegistrationCode makes one.")
}
