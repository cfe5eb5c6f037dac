//! Functions: settings and code. A function is ready as soon as its record is committed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::{Arn, Timestamp};
use functions::{FunctionSpec, RoleSession};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{BlobId, Expect};

use super::Lambda;
use super::code::CodeRecord;
use super::event_invoke_config::EventInvokeRecord;
use super::function_name::{LATEST, not_found, parse};
use super::settings::{ROLE_NOT_ASSUMABLE, SERVICE, Settings};
use super::shapes::{
    CreateFunctionRequest, DeleteFunctionRequest, DeleteFunctionResponse, FunctionCodeLocation, FunctionConfiguration,
    GetFunctionRequest, GetFunctionResponse, ListFunctionsRequest, ListFunctionsResponse,
};
use crate::record::{Found, Stored, delete, put};
use crate::{Error, Op, Services, random};

pub(crate) const PREFIX: &str = "lambda/function/";

/// Functions in one answer, whatever MaxItems says. (ListFunctions)
const PAGE_MAX: usize = 50;

/// The name alone; the model's longer bound is for ARNs. (CreateFunction)
const NAME_CHARS_MAX: usize = 64;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FunctionRecord {
    pub settings: Settings,
    pub(super) code: CodeRecord,
    pub(super) revision_id: String,
    /// Changes with what runs, and not with who may call it: environments of another one are replaced.
    #[serde(default)]
    runs_as: String,
    pub(super) modified_at: Timestamp,
    tags: BTreeMap<String, String>,
    /// Statements of the resource policy, as AddPermission made them.
    pub statements: Vec<Value>,
    #[serde(default)]
    pub event_invoke: Option<EventInvokeRecord>,
    #[serde(default)]
    created_at: Option<Timestamp>,
}

impl Stored for FunctionRecord {
    const VERSION: u32 = 1;
}

impl FunctionRecord {
    /// After a change of code or configuration.
    pub(super) fn touch(&mut self, now: Timestamp) {
        self.revision_id = random::uuid();
        self.runs_as.clone_from(&self.revision_id);
        self.modified_at = now;
    }

    /// After a change of the resource policy: AWS counts it into the function's revision, which is the policy's too.
    pub(super) fn touch_policy(&mut self) {
        self.revision_id = random::uuid();
    }

    /// A caller may say which revision it has seen. `look` is where it finds the one that is there.
    pub(super) fn must_be_at(&self, expected: Option<&str>, look: &str) -> Result<(), Error> {
        if expected.is_none_or(|expected| expected == self.revision_id) {
            return Ok(());
        }
        let message = format!(
            "The Revision Id provided does not match the latest Revision Id. Call the {look} API to retrieve the latest Revision Id"
        );
        Err(Error::new("PreconditionFailedException", message).with_member("Type", "User"))
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
        let (code, hold) = self.store_code(zip, other_source).await?;
        let mut record = FunctionRecord {
            settings,
            code,
            revision_id: String::new(),
            runs_as: String::new(),
            modified_at: op.now,
            tags,
            statements: Vec::new(),
            event_invoke: None,
            created_at: Some(op.now),
        };
        record.touch(op.now);
        let created = services
            .transact(|| {
                if services.find_function(&name)?.is_some() {
                    let message = format!("Function already exist: {name}");
                    return Err(Error::new("ResourceConflictException", message).with_member("Type", "User"));
                }
                Ok((vec![put(format!("{PREFIX}{name}"), &record, Expect::Absent)], ()))
            })
            .await;
        drop(hold);
        if created.is_err() {
            self.remove_package(&record.code.blob).await;
        }
        created?;
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

    /// What runs comes to its end; what waits for it is given up as dead letters; its log stays, as on AWS.
    pub async fn delete_function(
        &self,
        op: &Op,
        input: DeleteFunctionRequest,
    ) -> Result<DeleteFunctionResponse, Error> {
        let services = &self.services;
        let name = parse(services, &input.function_name, input.qualifier.as_deref())?;
        let arn = services.function_arn(&name);
        self.authorize(op, "lambda:DeleteFunction", arn.as_str())?;
        if input.qualifier.is_some() || input.function_name.ends_with(&format!(":{LATEST}")) {
            return Err(invalid("$LATEST version cannot be deleted without deleting the function."));
        }
        let record = services
            .transact(|| {
                let found = services.find_function(&name)?.ok_or_else(|| not_found(arn.as_str()))?;
                Ok((vec![delete(format!("{PREFIX}{name}"), Expect::Revision(found.revision))], found.value))
            })
            .await?;
        services.functions().retire(arn.as_str());
        services.hasten_invocations(arn.as_str());
        self.remove_package(&record.code.blob).await;
        Ok(DeleteFunctionResponse { status_code: Some(204) })
    }

    /// Was the function made after that moment? An event that is older was for one of the same name.
    pub(crate) fn is_younger(&self, name: &str, than: Timestamp) -> Result<bool, Error> {
        let found = self.services.find_function(name)?;
        Ok(found.and_then(|found| found.value.created_at).is_some_and(|created_at| created_at > than))
    }

    pub async fn list_functions(&self, op: &Op, input: ListFunctionsRequest) -> Result<ListFunctionsResponse, Error> {
        self.authorize(op, "lambda:ListFunctions", "*")?;
        let size = input.max_items.map_or(PAGE_MAX, |size| usize::try_from(size).unwrap_or(1).clamp(1, PAGE_MAX));
        let after = input.marker.as_deref().map(read_marker).transpose()?;
        // Functions of Lambda@Edge, which is not served: there are none.
        if input.master_region.is_some() {
            return Ok(ListFunctionsResponse { functions: Some(Vec::new()), next_marker: None });
        }
        let (page, next) = self.services.find_page::<FunctionRecord>(PREFIX, after.as_deref(), size)?;
        let with_version = input.function_version.is_some();
        let functions = page.iter().map(|(_, found)| self.listed(&found.value, with_version)).collect();
        Ok(ListFunctionsResponse { functions: Some(functions), next_marker: next.map(|name| STANDARD.encode(name)) })
    }

    /// Without the states, which a list does not have. (ListFunctions)
    fn listed(&self, record: &FunctionRecord, with_version: bool) -> FunctionConfiguration {
        let mut listed = self.configuration(record);
        (listed.state, listed.last_update_status) = (None, None);
        if with_version {
            listed.function_arn = listed.function_arn.map(|arn| format!("{arn}:{LATEST}"));
        }
        listed
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
            revision_id: record.runs_as,
            // The session's name is the function's: assumed-role/<role>/<function>.
            session: RoleSession { role_arn: settings.role, session_name: name.clone() },
            region: config.region.to_string(),
            account_id: config.account.to_string(),
            name,
        }))
    }
}

/// Markers are the name of the last function answered.
pub(super) fn read_marker(marker: &str) -> Result<String, Error> {
    let name = STANDARD.decode(marker).ok().and_then(|name| String::from_utf8(name).ok());
    name.ok_or_else(|| invalid("Invalid Marker: it is not one that a list answered."))
}

pub(super) fn invalid(message: &str) -> Error {
    Error::new("InvalidParameterValueException", message).with_member("Type", "User")
}
