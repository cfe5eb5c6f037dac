//! A function's configuration: how AWS shows it, and how it is changed.

use domain::Timestamp;
use store::Expect;
use time::macros::format_description;

use super::Lambda;
use super::function::{FunctionRecord, PREFIX};
use super::function_name::{LATEST, not_found, parse};
use super::settings::SERVICE;
use super::shapes::{
    EnvironmentResponse, EphemeralStorage, FunctionConfiguration, GetFunctionConfigurationRequest, LoggingConfig,
    SnapStartResponse, TracingConfigResponse, UpdateFunctionConfigurationRequest,
};
use crate::record::put;
use crate::{Error, Op};

impl Lambda {
    pub async fn get_function_configuration(
        &self,
        op: &Op,
        input: GetFunctionConfigurationRequest,
    ) -> Result<FunctionConfiguration, Error> {
        let name = parse(&self.services, &input.function_name, input.qualifier.as_deref())?;
        let arn = self.services.function_arn(&name);
        self.authorize(op, "lambda:GetFunctionConfiguration", arn.as_str())?;
        let record = self.services.find_function(&name)?.ok_or_else(|| not_found(arn.as_str()))?.value;
        Ok(self.configuration(&record))
    }

    pub async fn update_function_configuration(
        &self,
        op: &Op,
        input: UpdateFunctionConfigurationRequest,
    ) -> Result<FunctionConfiguration, Error> {
        let services = &self.services;
        let name = parse(services, &input.function_name, None)?;
        let arn = services.function_arn(&name);
        self.authorize(op, "lambda:UpdateFunctionConfiguration", arn.as_str())?;
        if let Some(role) = &input.role {
            services.authorize_pass_role(op, role, SERVICE)?;
        }
        let record = services
            .transact(|| {
                let found = services.find_function(&name)?.ok_or_else(|| not_found(arn.as_str()))?;
                let mut record = found.value;
                record.must_be_at(input.revision_id.as_deref(), "GetFunction/GetAlias")?;
                record.settings.change(services, &input)?;
                record.touch(op.now);
                Ok((vec![put(format!("{PREFIX}{name}"), &record, Expect::Revision(found.revision))], record))
            })
            .await?;
        let mut answer = self.configuration(&record);
        // What AWS answers at this moment, its words included; the next look shows Successful.
        answer.last_update_status = Some("InProgress".to_owned());
        answer.last_update_status_reason = Some("The function is being created.".to_owned());
        answer.last_update_status_reason_code = Some("Creating".to_owned());
        Ok(answer)
    }

    pub(super) fn configuration(&self, record: &FunctionRecord) -> FunctionConfiguration {
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
}

/// `2026-07-01T00:12:16.082+0000`.
fn last_modified(at: Timestamp) -> String {
    let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]+0000");
    at.to_utc().and_then(|moment| moment.format(&form).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_modified_has_lambdas_form() {
        assert_eq!(last_modified(Timestamp::from_millis(1_782_864_736_082)), "2026-07-01T00:12:16.082+0000");
    }
}
