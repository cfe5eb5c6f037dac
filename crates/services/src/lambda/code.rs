//! A function's code: a package, kept as a blob that the function's record names.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use functions::Package;
use serde::{Deserialize, Serialize};
use store::{BlobId, Expect};

use super::Lambda;
use super::function::{PREFIX, invalid};
use super::function_name::{not_found, parse};
use super::shapes::{FunctionConfiguration, UpdateFunctionCodeRequest};
use crate::record::put;
use crate::{Error, Op};

/// A zip sent in the request. (Lambda quotas: 50 MB zipped, direct upload)
const ZIP_BYTES_MAX: usize = 50 << 20;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct CodeRecord {
    /// The blob, hex.
    pub blob: String,
    /// The same hash as AWS shows it, base64.
    pub sha256: String,
    pub bytes: u64,
}

impl Lambda {
    pub async fn update_function_code(
        &self,
        op: &Op,
        input: UpdateFunctionCodeRequest,
    ) -> Result<FunctionConfiguration, Error> {
        let services = &self.services;
        let name = parse(services, &input.function_name, None)?;
        let arn = services.function_arn(&name);
        self.authorize(op, "lambda:UpdateFunctionCode", arn.as_str())?;
        if input.publish == Some(true) {
            return Err(invalid("Publish: versions are not served yet; $LATEST is what runs."));
        }
        let other_source = input.s3_bucket.is_some() || input.image_uri.is_some();
        // Looked for before the code is stored: a wrong name leaves nothing behind.
        services.find_function(&name)?.ok_or_else(|| not_found(arn.as_str()))?;
        let code = self.store_code(input.zip_file.map(|zip| zip.0), other_source).await?;
        let record = services
            .transact(|| {
                let found = services.find_function(&name)?.ok_or_else(|| not_found(arn.as_str()))?;
                let mut record = found.value;
                record.must_be_at(input.revision_id.as_deref(), "GetFunction/GetAlias")?;
                if input.dry_run == Some(true) {
                    return Ok((Vec::new(), record));
                }
                record.code = code.clone();
                if let Some(architectures) = &input.architectures {
                    record.settings.architectures.clone_from(architectures);
                }
                record.touch(op.now);
                Ok((vec![put(format!("{PREFIX}{name}"), &record, Expect::Revision(found.revision))], record))
            })
            .await?;
        Ok(self.configuration(&record))
    }

    pub(super) async fn store_code(&self, zip: Option<Bytes>, other_source: bool) -> Result<CodeRecord, Error> {
        if other_source {
            return Err(invalid("Code from S3 or an image is not served; send the package itself (ZipFile)."));
        }
        let zip = zip.ok_or_else(|| invalid("Please provide a source for function code."))?;
        if zip.len() > ZIP_BYTES_MAX {
            let message = format!("The package has {} bytes; {ZIP_BYTES_MAX} are allowed.", zip.len());
            return Err(Error::new("RequestEntityTooLargeException", message).with_member("Type", "User"));
        }
        Package::read(&zip).map_err(|err| {
            let what = "Could not unzip uploaded file. Please check your file, then try to upload again.";
            invalid(&format!("{what} ({})", err.0))
        })?;
        let bytes = zip.len() as u64;
        let blob = self.services.store().blobs().put(zip).await;
        let BlobId(hash) = blob.map_err(|err| Error::internal(format!("the package could not be stored: {err:?}")))?;
        Ok(CodeRecord { blob: hex::encode(hash), sha256: STANDARD.encode(hash), bytes })
    }
}
