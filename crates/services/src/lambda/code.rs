//! A function's code: a package, kept as a blob that the function's record names.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use functions::Package;
use serde::{Deserialize, Serialize};
use store::{BlobHold, BlobId, Expect};

use super::Lambda;
use super::function::{FunctionRecord, PREFIX, invalid};
use super::function_name::{not_found, parse};
use super::shapes::{FunctionConfiguration, UpdateFunctionCodeRequest};
use crate::record::put;
use crate::{Error, Op, Services};

/// A zip sent in the request. (Lambda quotas: 50 MB zipped, direct upload)
const ZIP_BYTES_MAX: usize = 50 << 20;

/// Functions looked at between two chances for others.
const PAGE: usize = 64;

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
        let (code, hold) = self.store_code(input.zip_file.map(|zip| zip.0), other_source).await?;
        let mut replaced = None;
        let updated = services
            .transact(|| {
                let found = services.find_function(&name)?.ok_or_else(|| not_found(arn.as_str()))?;
                let mut record = found.value;
                record.must_be_at(input.revision_id.as_deref(), "GetFunction/GetAlias")?;
                if input.dry_run == Some(true) {
                    return Ok((Vec::new(), record));
                }
                replaced = Some(std::mem::replace(&mut record.code, code.clone()));
                if let Some(architectures) = &input.architectures {
                    record.settings.architectures.clone_from(architectures);
                }
                record.touch(op.now);
                Ok((vec![put(format!("{PREFIX}{name}"), &record, Expect::Revision(found.revision))], record))
            })
            .await;
        drop(hold);
        // The one that was replaced, or the new one where nothing came of it: whichever no function names.
        for blob in replaced.iter().chain([&code]).map(|code| &code.blob) {
            self.remove_package(blob).await;
        }
        Ok(self.configuration(&updated?))
    }

    /// Held until the function's record names it.
    pub(super) async fn store_code(
        &self,
        zip: Option<Bytes>,
        other_source: bool,
    ) -> Result<(CodeRecord, BlobHold), Error> {
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
        let (bytes, id) = (zip.len() as u64, BlobId::of(&zip));
        let blobs = self.services.store().blobs();
        let hold = blobs.hold(id);
        let blob = blobs.put(zip).await;
        let BlobId(hash) = blob.map_err(|err| Error::internal(format!("the package could not be stored: {err:?}")))?;
        Ok((CodeRecord { blob: hex::encode(hash), sha256: STANDARD.encode(hash), bytes }, hold))
    }

    /// Unless a function names it, or somebody is about to make one that does. What fails is tried at the next start.
    pub(super) async fn remove_package(&self, blob: &str) {
        let mut id = [0; 32];
        if hex::decode_to_slice(blob, &mut id).is_err() {
            return;
        }
        let (services, named) = (self.services.clone(), blob.to_owned());
        let is_named = move || services.names_package(&named).unwrap_or(true);
        if let Err(error) = self.services.store().blobs().remove_unless(BlobId(id), is_named).await {
            tracing::warn!(%blob, ?error, "a package that no function has could not be removed");
        }
    }
}

impl Services {
    fn names_package(&self, blob: &str) -> Result<bool, Error> {
        let mut after = None;
        loop {
            let (page, next) = self.find_page::<FunctionRecord>(PREFIX, after.as_deref(), PAGE)?;
            if page.iter().any(|(_, found)| found.value.code.blob == blob) {
                return Ok(true);
            }
            match next {
                Some(next) => after = Some(next),
                None => return Ok(false),
            }
        }
    }

    /// Packages that a crash left without a function. Blobs are packages and nothing else.
    pub(crate) async fn sweep_packages(&self) {
        let blobs = self.store().blobs();
        let mut named = HashSet::new();
        let name = |_, record: FunctionRecord| {
            named.insert(record.code.blob);
        };
        let looked = self.each_record::<FunctionRecord>(PREFIX, name).await;
        let (Ok(()), Ok(ids)) = (looked, blobs.ids().await) else { return };
        for id in ids.iter().map(ToString::to_string).filter(|id| !named.contains(id)) {
            tracing::info!(blob = %id, "removing a package that no function has");
            self.lambda().remove_package(&id).await;
        }
    }
}
