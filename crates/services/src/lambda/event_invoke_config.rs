//! How a function's asynchronous invocations are retried, and where their outcomes go.

use domain::Timestamp;
use serde::{Deserialize, Serialize};
use store::Expect;

use super::Lambda;
use super::function::{FunctionRecord, PREFIX, invalid, read_marker};
use super::function_name::{LATEST, parse};
use super::shapes::{
    DeleteFunctionEventInvokeConfigRequest, DestinationConfig, FunctionEventInvokeConfig,
    GetFunctionEventInvokeConfigRequest, ListFunctionEventInvokeConfigsRequest, ListFunctionEventInvokeConfigsResponse,
    OnFailure, OnSuccess, PutFunctionEventInvokeConfigRequest, UpdateFunctionEventInvokeConfigRequest,
};
use crate::record::put;
use crate::{Caller, Error, Op};

/// Part of the function's record: it goes with the function.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct EventInvokeRecord {
    pub retries_max: Option<i32>,
    pub age_max_s: Option<i32>,
    /// ARNs of functions.
    pub on_failure: Option<String>,
    pub on_success: Option<String>,
    pub modified_at: Option<Timestamp>,
}

/// What a request asks for.
struct Asked {
    retries_max: Option<i32>,
    age_max_s: Option<i32>,
    destinations: Option<DestinationConfig>,
}

impl Asked {
    /// Something has to be. (Measured: looked at before the function is)
    fn must_be_something(&self) -> Result<(), Error> {
        if self.retries_max.is_none() && self.age_max_s.is_none() && self.destinations.is_none() {
            return Err(invalid("You must specify at least one of error handling or destination setting."));
        }
        Ok(())
    }

    fn on_failure(&self) -> Option<&str> {
        let asked = self.destinations.as_ref()?.on_failure.as_ref()?.destination.as_deref();
        asked.filter(|arn| !arn.is_empty())
    }

    fn on_success(&self) -> Option<&str> {
        let asked = self.destinations.as_ref()?.on_success.as_ref()?.destination.as_deref();
        asked.filter(|arn| !arn.is_empty())
    }
}

impl Lambda {
    /// Replaces what is there; what is left out is gone.
    pub async fn put_function_event_invoke_config(
        &self,
        op: &Op,
        input: PutFunctionEventInvokeConfigRequest,
    ) -> Result<FunctionEventInvokeConfig, Error> {
        let name = parse(&self.services, &input.function_name, input.qualifier.as_deref())?;
        let arn = self.services.function_arn(&name);
        self.authorize(op, "lambda:PutFunctionEventInvokeConfig", arn.as_str())?;
        let asked = Asked {
            retries_max: input.maximum_retry_attempts,
            age_max_s: input.maximum_event_age_in_seconds,
            destinations: input.destination_config,
        };
        asked.must_be_something()?;
        self.change_event_invoke(op, &name, |record| {
            self.check_destinations(record, &asked)?;
            Ok(EventInvokeRecord {
                retries_max: asked.retries_max,
                age_max_s: asked.age_max_s,
                on_failure: asked.on_failure().map(str::to_owned),
                on_success: asked.on_success().map(str::to_owned),
                modified_at: Some(op.now),
            })
        })
        .await
    }

    /// Changes what is named and keeps the rest.
    pub async fn update_function_event_invoke_config(
        &self,
        op: &Op,
        input: UpdateFunctionEventInvokeConfigRequest,
    ) -> Result<FunctionEventInvokeConfig, Error> {
        let name = parse(&self.services, &input.function_name, input.qualifier.as_deref())?;
        let arn = self.services.function_arn(&name);
        self.authorize(op, "lambda:UpdateFunctionEventInvokeConfig", arn.as_str())?;
        let asked = Asked {
            retries_max: input.maximum_retry_attempts,
            age_max_s: input.maximum_event_age_in_seconds,
            destinations: input.destination_config,
        };
        asked.must_be_something()?;
        self.change_event_invoke(op, &name, |record| {
            let mut config = record.event_invoke.clone().ok_or_else(|| not_configured(arn.as_str()))?;
            self.check_destinations(record, &asked)?;
            config.retries_max = asked.retries_max.or(config.retries_max);
            config.age_max_s = asked.age_max_s.or(config.age_max_s);
            if asked.destinations.is_some() {
                config.on_failure = asked.on_failure().map(str::to_owned);
                config.on_success = asked.on_success().map(str::to_owned);
            }
            config.modified_at = Some(op.now);
            Ok(config)
        })
        .await
    }

    pub async fn get_function_event_invoke_config(
        &self,
        op: &Op,
        input: GetFunctionEventInvokeConfigRequest,
    ) -> Result<FunctionEventInvokeConfig, Error> {
        let name = parse(&self.services, &input.function_name, input.qualifier.as_deref())?;
        let arn = self.services.function_arn(&name);
        self.authorize(op, "lambda:GetFunctionEventInvokeConfig", arn.as_str())?;
        let config = self.services.find_function(&name)?.and_then(|found| found.value.event_invoke);
        Ok(self.event_invoke_shape(&name, config.ok_or_else(|| not_configured(arn.as_str()))?))
    }

    /// One at most: configurations of versions and aliases come with them.
    pub async fn list_function_event_invoke_configs(
        &self,
        op: &Op,
        input: ListFunctionEventInvokeConfigsRequest,
    ) -> Result<ListFunctionEventInvokeConfigsResponse, Error> {
        let name = parse(&self.services, &input.function_name, None)?;
        let arn = self.services.function_arn(&name);
        self.authorize(op, "lambda:ListFunctionEventInvokeConfigs", arn.as_str())?;
        let found = self.services.find_function(&name)?.ok_or_else(no_function)?;
        let after = input.marker.as_deref().map(read_marker).transpose()?;
        let config = found.value.event_invoke.filter(|_| after.is_none());
        let configs = config.map(|config| self.event_invoke_shape(&name, config)).into_iter().collect();
        Ok(ListFunctionEventInvokeConfigsResponse { function_event_invoke_configs: Some(configs), next_marker: None })
    }

    pub async fn delete_function_event_invoke_config(
        &self,
        op: &Op,
        input: DeleteFunctionEventInvokeConfigRequest,
    ) -> Result<(), Error> {
        let services = &self.services;
        let name = parse(services, &input.function_name, input.qualifier.as_deref())?;
        let arn = services.function_arn(&name);
        self.authorize(op, "lambda:DeleteFunctionEventInvokeConfig", arn.as_str())?;
        services
            .transact(|| {
                let found = services.find_function(&name)?.ok_or_else(no_function)?;
                let mut record = found.value;
                if record.event_invoke.take().is_none() {
                    return Err(not_configured(arn.as_str()));
                }
                Ok((vec![put(format!("{PREFIX}{name}"), &record, Expect::Revision(found.revision))], ()))
            })
            .await
    }

    /// What the invocations of a function go by; the defaults where nothing is configured or the function is gone.
    pub(crate) fn event_invoke_of(&self, function_arn: &str) -> EventInvokeRecord {
        let name = parse(&self.services, function_arn, None);
        let found = name.and_then(|name| self.services.find_function(&name)).unwrap_or_default();
        found.and_then(|found| found.value.event_invoke).unwrap_or_default()
    }

    /// The function's role must allow it to call its destination.
    pub(crate) fn may_hand_on(&self, function_arn: &str, destination: &str) -> Result<(), Error> {
        let function = self.spec_of(function_arn)?;
        self.spec_of(destination)?;
        let op = self.services.op(Caller::Role(function.session.clone()));
        self.authorize(&op, "lambda:InvokeFunction", destination)
    }

    async fn change_event_invoke(
        &self,
        op: &Op,
        name: &str,
        mut changed: impl FnMut(&FunctionRecord) -> Result<EventInvokeRecord, Error>,
    ) -> Result<FunctionEventInvokeConfig, Error> {
        let services = &self.services;
        let config = services
            .transact(|| {
                let found = services.find_function(name)?.ok_or_else(no_function)?;
                let mut record = found.value;
                let config = changed(&record)?;
                record.event_invoke = Some(config.clone());
                Ok((vec![put(format!("{PREFIX}{name}"), &record, Expect::Revision(found.revision))], config))
            })
            .await?;
        tracing::info!(function = name, at = %op.now.to_rfc3339(), "event-invoke configuration changed");
        Ok(self.event_invoke_shape(name, config))
    }

    fn check_destinations(&self, record: &FunctionRecord, asked: &Asked) -> Result<(), Error> {
        for destination in [asked.on_failure(), asked.on_success()].into_iter().flatten() {
            let service = destination.split(':').nth(2).unwrap_or_default();
            if service != "lambda" {
                return Err(invalid(&format!(
                    "The destination {destination} is not served yet; another Lambda function is."
                )));
            }
            let of = |arn: &str| parse(&self.services, arn, None).and_then(|name| self.services.find_function(&name));
            if of(destination).ok().flatten().is_none() {
                return Err(invalid(&format!("The destination ARN {destination} is invalid.")));
            }
            let own = self.services.function_arn(&record.settings.name);
            if destination.trim_end_matches(":$LATEST") == own.as_str() {
                return Err(invalid("You can't specify the function as a destination for itself."));
            }
            self.may_hand_on(own.as_str(), destination).map_err(|err| match err.code {
                "AccessDeniedException" => invalid(&format!(
                    "The function's execution role {} doesn't have permission to call InvokeFunction on {destination}",
                    record.settings.role
                )),
                _ => err,
            })?;
        }
        Ok(())
    }

    fn event_invoke_shape(&self, name: &str, config: EventInvokeRecord) -> FunctionEventInvokeConfig {
        FunctionEventInvokeConfig {
            destination_config: Some(DestinationConfig {
                on_failure: Some(OnFailure { destination: config.on_failure }),
                on_success: Some(OnSuccess { destination: config.on_success }),
            }),
            function_arn: Some(format!("{}:{LATEST}", self.services.function_arn(name))),
            last_modified: config.modified_at.map(Into::into),
            maximum_event_age_in_seconds: config.age_max_s,
            maximum_retry_attempts: config.retries_max,
        }
    }
}

fn no_function() -> Error {
    Error::new("ResourceNotFoundException", "The function doesn't exist.").with_member("Type", "User")
}

fn not_configured(arn: &str) -> Error {
    let message = format!("The function {arn}:{LATEST} doesn't have an EventInvokeConfig");
    Error::new("ResourceNotFoundException", message).with_member("Type", "User")
}
