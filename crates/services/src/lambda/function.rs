//! Functions: settings and code. A function is ready as soon as its record is committed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domain::{Arn, Timestamp};
use functions::{FunctionSpec, Package, RoleSession};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{BlobId, Expect};
use time::macros::format_description;

use super::Lambda;
use super::function_name::{LATEST, not_found, parse};
use super::settings::{ROLE_NOT_ASSUMABLE, SERVICE, Settings};
use super::shapes::{
    CreateFunctionRequest, EnvironmentResponse, EphemeralStorage, FunctionCodeLocation, FunctionConfiguration,
    GetFunctionRequest, GetFunctionResponse, LoggingConfig, SnapStartResponse, TracingConfigResponse,
    UpdateFunctionCodeRequest,
};
use crate::record::{Found, Stored, put};
use crate::{Error, Op, Services, random};

pub(super) const PREFIX: &str = "lambda/function/";

/// A zip sent in the request. (Lambda quotas: 50 MB zipped, direct upload)
const ZIP_BYTES_MAX: usize = 50 << 20;

/// The name alone; the model's longer bound is for ARNs. (CreateFunction)
const NAME_CHARS_MAX: usize = 64;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FunctionRecord {
    pub settings: Settings,
    code: CodeRecord,
    revision_id: String,
    modified_at: Timestamp,
    tags: BTreeMap<String, String>,
    /// Statements of the resource policy, as AddPermission made them.
    pub statements: Vec<Value>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct CodeRecord {
    /// The blob, hex.
    blob: String,
    /// The same hash as AWS shows it, base64.
    sha256: String,
    bytes: u64,
}

impl Stored for FunctionRecord {
    const VERSION: u32 = 1;
}

impl FunctionRecord {
    /// After any change that a caller may want to see.
    pub(super) fn touch(&mut self, now: Timestamp) {
        self.revision_id = random::uuid();
        self.modified_at = now;
    }

    pub(super) fn revision_id(&self) -> &str {
        &self.revision_id
    }
}

impl Services {
    pub(crate) fn function_arn(&self, name: &str) -> Arn {
        Arn::new("lambda", self.region(), &self.config().account, &format!("function:{name}"))
    }

    pub(crate) fn find_function(&self, name: &str) -> Result<Option<Found<FunctionRecord>>, Error> {
        self.find(&format!("{PREFIX}{name}"))
    }

    /// At start: one worker is kept ready once there is a function.
    pub(crate) fn warm_functions(&self) -> Result<(), Error> {
        if !self.keys_below(PREFIX)?.is_empty() {
            self.functions().keep_warm();
        }
        Ok(())
    }
}

impl Lambda {
    pub async fn create_function(&self, op: &Op, input: CreateFunctionRequest) -> Result<FunctionConfiguration, Error> {
        let services = &self.services;
        let name = parse(services, &input.function_name, None)?;
        let arn = services.function_arn(&name);
        self.authorize(op, "lambda:CreateFunction", arn.as_str())?;
        if name.len() > NAME_CHARS_MAX {
            let message =
                format!("A function's name has at most {NAME_CHARS_MAX} characters; this one has {}.", name.len());
            return Err(invalid(&message));
        }
        services.authorize_pass_role(op, &input.role, SERVICE)?;
        let zip = input.code.zip_file.as_ref().map(|zip| zip.0.clone());
        let other_source = input.code.s3_bucket.is_some() || input.code.image_uri.is_some();
        let tags = input.tags.clone().unwrap_or_default();
        let settings = Settings::of(services, name.clone(), input)?;
        let code = self.store_code(zip, other_source).await?;
        let record = FunctionRecord {
            settings,
            code,
            revision_id: random::uuid(),
            modified_at: op.now,
            tags,
            statements: Vec::new(),
        };
        services
            .transact(|| {
                if services.find_function(&name)?.is_some() {
                    let message = format!("Function already exist: {name}");
                    return Err(Error::new("ResourceConflictException", message).with_member("Type", "User"));
                }
                Ok((vec![put(format!("{PREFIX}{name}"), &record, Expect::Absent)], ()))
            })
            .await?;
        services.functions().keep_warm();
        let mut answer = self.configuration(&record);
        // What AWS answers at this moment; the next look shows Active.
        answer.state = Some("Pending".to_owned());
        answer.state_reason = Some("The function is being created.".to_owned());
        answer.state_reason_code = Some("Creating".to_owned());
        Ok(answer)
    }

    pub async fn get_function(&self, op: &Op, input: GetFunctionRequest) -> Result<GetFunctionResponse, Error> {
        let name = parse(&self.services, &input.function_name, input.qualifier.as_deref())?;
        let arn = self.services.function_arn(&name);
        self.authorize(op, "lambda:GetFunction", arn.as_str())?;
        let record = self.services.find_function(&name)?.ok_or_else(|| not_found(arn.as_str()))?.value;
        Ok(GetFunctionResponse {
            configuration: Some(self.configuration(&record)),
            code: Some(FunctionCodeLocation { repository_type: Some("S3".to_owned()), ..Default::default() }),
            tags: Some(record.tags).filter(|tags| !tags.is_empty()),
            ..Default::default()
        })
    }

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
                if input.revision_id.as_deref().is_some_and(|expected| expected != record.revision_id) {
                    let message = "The RevisionId provided does not match the latest RevisionId. Call the GetFunction or the GetAlias API to retrieve the latest RevisionId";
                    return Err(Error::new("PreconditionFailedException", message).with_member("Type", "User"));
                }
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

    async fn store_code(&self, zip: Option<Bytes>, other_source: bool) -> Result<CodeRecord, Error> {
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

    fn configuration(&self, record: &FunctionRecord) -> FunctionConfiguration {
        let settings = record.settings.clone();
        let name = settings.name;
        let environment = settings.environment;
        FunctionConfiguration {
            function_arn: Some(self.services.function_arn(&name).to_string()),
            runtime: Some(settings.runtime),
            role: Some(settings.role),
            handler: Some(settings.handler),
            code_size: i64::try_from(record.code.bytes).ok(),
            description: Some(settings.description),
            timeout: Some(settings.timeout_s),
            memory_size: Some(settings.memory_mb),
            last_modified: Some(last_modified(record.modified_at)),
            code_sha256: Some(record.code.sha256.clone()),
            version: Some(LATEST.to_owned()),
            environment: (!environment.is_empty())
                .then_some(EnvironmentResponse { variables: Some(environment), error: None }),
            tracing_config: Some(TracingConfigResponse { mode: Some(settings.tracing_mode) }),
            revision_id: Some(record.revision_id.clone()),
            state: Some("Active".to_owned()),
            last_update_status: Some("Successful".to_owned()),
            package_type: Some("Zip".to_owned()),
            architectures: Some(settings.architectures),
            ephemeral_storage: Some(EphemeralStorage { size: settings.ephemeral_storage_mb }),
            snap_start: Some(SnapStartResponse {
                apply_on: Some("None".to_owned()),
                optimization_status: Some("Off".to_owned()),
            }),
            logging_config: Some(LoggingConfig {
                log_format: Some("Text".to_owned()),
                log_group: Some(format!("/aws/lambda/{name}")),
                ..Default::default()
            }),
            function_name: Some(name),
            ..Default::default()
        }
    }

    /// Lambda takes the execution role for each environment: one that is gone, or that trusts Lambda no more, runs nothing.
    pub(crate) fn must_hold_role(&self, function: &FunctionSpec) -> Result<(), Error> {
        let held = self.services.iam().must_be_assumable(&function.session.role_arn, SERVICE);
        held.map_err(|err| match err.code {
            "AccessDenied" => Error::new("AccessDeniedException", ROLE_NOT_ASSUMABLE).with_member("Type", "User"),
            _ => err,
        })
    }

    /// What a run needs to know of the function, by its ARN with or without a qualifier.
    pub(crate) fn spec_of(&self, function_arn: &str) -> Result<Arc<FunctionSpec>, Error> {
        let name = parse(&self.services, function_arn, None)?;
        let arn = self.services.function_arn(&name);
        let record = self.services.find_function(&name)?.ok_or_else(|| not_found(arn.as_str()))?.value;
        let mut blob = [0; 32];
        hex::decode_to_slice(&record.code.blob, &mut blob)
            .map_err(|err| Error::internal(format!("the code of {name}: {err}")))?;
        let settings = record.settings;
        let config = self.services.config();
        Ok(Arc::new(FunctionSpec {
            arn: arn.to_string(),
            version: LATEST.to_owned(),
            runtime: settings.runtime,
            handler: settings.handler,
            timeout: Duration::from_secs(settings.timeout_s.max(1).unsigned_abs().into()),
            memory_mb: settings.memory_mb.max(128).unsigned_abs(),
            environment: settings.environment,
            code_sha256: record.code.sha256,
            blob: BlobId(blob),
            revision_id: record.revision_id,
            // The session's name is the function's: assumed-role/<role>/<function>.
            session: RoleSession { role_arn: settings.role, session_name: name.clone() },
            region: config.region.to_string(),
            account_id: config.account.to_string(),
            name,
        }))
    }
}

/// `2026-07-01T00:12:16.082+0000`.
fn last_modified(at: Timestamp) -> String {
    let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]+0000");
    at.to_utc().and_then(|moment| moment.format(&form).ok()).unwrap_or_default()
}

pub(super) fn invalid(message: &str) -> Error {
    Error::new("InvalidParameterValueException", message).with_member("Type", "User")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_modified_has_lambdas_form() {
        assert_eq!(last_modified(Timestamp::from_millis(1_782_864_736_082)), "2026-07-01T00:12:16.082+0000");
    }
}
