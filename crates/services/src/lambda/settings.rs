//! A function's settings, checked as CreateFunction checks them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::function::invalid;
use super::shapes::{
    CreateFunctionRequest, DeadLetterConfig, LoggingConfig, UpdateFunctionConfigurationRequest, VpcConfig,
};
use crate::{Error, Services};

/// Lambda, as trust policies name it.
pub(crate) const SERVICE: &str = "lambda.amazonaws.com";

pub(super) const ROLE_NOT_ASSUMABLE: &str = "The role defined for the function cannot be assumed by Lambda.";

/// All variables together, names and values. (Lambda quotas)
const ENVIRONMENT_BYTES_MAX: usize = 4096;

/// Lambda's defaults.
const TIMEOUT_S_DEFAULT: i32 = 3;
const MEMORY_MB_DEFAULT: i32 = 128;
const EPHEMERAL_STORAGE_MB_DEFAULT: i32 = 512;

const TIMEOUT_S_MAX: i32 = 900;
const MEMORY_MB_MAX: i32 = 10_240;

/// Names that the runtime itself sets. (Lambda: defined runtime environment variables)
const RESERVED: [&str; 19] = [
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_LAMBDA_RUNTIME_API",
    "LAMBDA_TASK_ROOT",
    "LAMBDA_RUNTIME_DIR",
];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub name: String,
    pub role: String,
    pub runtime: String,
    pub handler: String,
    pub description: String,
    pub timeout_s: i32,
    pub memory_mb: i32,
    pub environment: BTreeMap<String, String>,
    pub architectures: Vec<String>,
    pub tracing_mode: String,
    pub ephemeral_storage_mb: i32,
}

impl Settings {
    pub(super) fn of(services: &Services, name: String, input: CreateFunctionRequest) -> Result<Self, Error> {
        refuse_unserved(&input)?;
        let (Some(runtime), Some(handler)) = (input.runtime, input.handler) else {
            let message =
                "Runtime and Handler are mandatory parameters for functions created with deployment packages.";
            return Err(invalid(message));
        };
        check_runtime(&runtime)?;
        check_bounds(input.timeout, input.memory_size)?;
        check_role(services, &input.role)?;
        let environment = input.environment.and_then(|environment| environment.variables).unwrap_or_default();
        check_environment(&environment)?;
        Ok(Self {
            name,
            role: input.role,
            runtime,
            handler,
            description: input.description.unwrap_or_default(),
            timeout_s: input.timeout.unwrap_or(TIMEOUT_S_DEFAULT),
            memory_mb: input.memory_size.unwrap_or(MEMORY_MB_DEFAULT),
            environment,
            architectures: input.architectures.unwrap_or_else(|| vec!["x86_64".to_owned()]),
            tracing_mode: input
                .tracing_config
                .and_then(|config| config.mode)
                .unwrap_or_else(|| "PassThrough".to_owned()),
            ephemeral_storage_mb: input.ephemeral_storage.map_or(EPHEMERAL_STORAGE_MB_DEFAULT, |storage| storage.size),
        })
    }

    /// What the request names is replaced, the rest stays. (UpdateFunctionConfiguration)
    pub(super) fn change(
        &mut self,
        services: &Services,
        input: &UpdateFunctionConfigurationRequest,
    ) -> Result<(), Error> {
        refuse_unserved_change(&self.name, input)?;
        check_bounds(input.timeout, input.memory_size)?;
        if let Some(runtime) = &input.runtime {
            check_runtime(runtime)?;
            self.runtime.clone_from(runtime);
        }
        if let Some(role) = &input.role {
            check_role(services, role)?;
            self.role.clone_from(role);
        }
        if let Some(environment) = &input.environment {
            let environment = environment.variables.clone().unwrap_or_default();
            check_environment(&environment)?;
            self.environment = environment;
        }
        if let Some(handler) = &input.handler {
            self.handler.clone_from(handler);
        }
        if let Some(description) = &input.description {
            self.description.clone_from(description);
        }
        if let Some(mode) = input.tracing_config.as_ref().and_then(|config| config.mode.as_ref()) {
            self.tracing_mode.clone_from(mode);
        }
        self.timeout_s = input.timeout.unwrap_or(self.timeout_s);
        self.memory_mb = input.memory_size.unwrap_or(self.memory_mb);
        let storage_mb = input.ephemeral_storage.as_ref().map(|storage| storage.size);
        self.ephemeral_storage_mb = storage_mb.unwrap_or(self.ephemeral_storage_mb);
        Ok(())
    }
}

fn check_role(services: &Services, role: &str) -> Result<(), Error> {
    let held = services.iam().must_be_assumable(role, SERVICE);
    held.map_err(|err| if err.code == "AccessDenied" { invalid(ROLE_NOT_ASSUMABLE) } else { err })
}

/// Every `nodejs` identifier is taken, the retired ones too: old functions are the point.
fn check_runtime(runtime: &str) -> Result<(), Error> {
    const FAMILIES: [&str; 6] = ["dotnet", "go", "java", "provided", "python", "ruby"];
    let of_node = runtime.strip_prefix("nodejs").is_some_and(|version| {
        let version = version.strip_suffix("-edge").unwrap_or(version);
        version.len() <= 8 && version.chars().all(|c| c.is_ascii_digit() || ".x".contains(c))
    });
    if of_node {
        return Ok(());
    }
    if FAMILIES.iter().any(|family| runtime.starts_with(family)) {
        return Err(invalid(&format!("The runtime {runtime} is not served yet; every nodejs runtime is.")));
    }
    let shown: String = runtime.chars().take(64).collect();
    Err(invalid(&format!(
        "Value {shown} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [nodejs24.x, nodejs22.x, nodejs20.x, nodejs18.x] or be a valid ARN"
    )))
}

/// A setting that would be without effect is refused by name rather than taken and forgotten.
fn refuse_unserved(input: &CreateFunctionRequest) -> Result<(), Error> {
    refuse_asked(&[
        ("PackageType Image", input.package_type.as_deref().is_some_and(|kind| kind != "Zip")),
        ("Publish", input.publish == Some(true)),
        ("PublishTo", input.publish_to.is_some()),
        ("CapacityProviderConfig", input.capacity_provider_config.is_some()),
        ("DurableConfig", input.durable_config.is_some()),
        ("TenancyConfig", input.tenancy_config.is_some()),
        ("Layers", input.layers.as_ref().is_some_and(|layers| !layers.is_empty())),
        ("DeadLetterConfig", input.dead_letter_config.as_ref().is_some_and(has_target)),
        ("FileSystemConfigs", input.file_system_configs.as_ref().is_some_and(|configs| !configs.is_empty())),
        ("CodeSigningConfigArn", input.code_signing_config_arn.is_some()),
        ("ImageConfig", input.image_config.is_some()),
        ("KMSKeyArn", input.kms_key_arn.as_ref().is_some_and(|arn| !arn.is_empty())),
        ("VpcConfig", input.vpc_config.as_ref().is_some_and(has_subnets)),
        ("LoggingConfig JSON", input.logging_config.as_ref().is_some_and(is_json)),
        ("LoggingConfig LogGroup", input.logging_config.as_ref().is_some_and(|config| config.log_group.is_some())),
    ])
}

fn refuse_unserved_change(name: &str, input: &UpdateFunctionConfigurationRequest) -> Result<(), Error> {
    let elsewhere =
        |config: &LoggingConfig| config.log_group.as_ref().is_some_and(|group| *group != format!("/aws/lambda/{name}"));
    refuse_asked(&[
        ("Layers", input.layers.as_ref().is_some_and(|layers| !layers.is_empty())),
        ("DeadLetterConfig", input.dead_letter_config.as_ref().is_some_and(has_target)),
        ("FileSystemConfigs", input.file_system_configs.as_ref().is_some_and(|configs| !configs.is_empty())),
        ("ImageConfig", input.image_config.is_some()),
        ("KMSKeyArn", input.kms_key_arn.as_ref().is_some_and(|arn| !arn.is_empty())),
        ("VpcConfig", input.vpc_config.as_ref().is_some_and(has_subnets)),
        ("LoggingConfig JSON", input.logging_config.as_ref().is_some_and(is_json)),
        ("LoggingConfig LogGroup", input.logging_config.as_ref().is_some_and(elsewhere)),
        ("CapacityProviderConfig", input.capacity_provider_config.is_some()),
        ("DurableConfig", input.durable_config.is_some()),
    ])
}

fn refuse_asked(asked: &[(&str, bool)]) -> Result<(), Error> {
    match asked.iter().find(|(_, asked)| *asked) {
        None => Ok(()),
        Some((what, _)) => Err(invalid(&format!("{what} is not served yet; leave it out."))),
    }
}

fn has_target(config: &DeadLetterConfig) -> bool {
    config.target_arn.as_ref().is_some_and(|arn| !arn.is_empty())
}

fn has_subnets(config: &VpcConfig) -> bool {
    config.subnet_ids.as_ref().is_some_and(|ids| !ids.is_empty())
}

fn is_json(config: &LoggingConfig) -> bool {
    config.log_format.as_deref() == Some("JSON")
}

/// Bounds that the model does not have. (Lambda quotas)
fn check_bounds(timeout_s: Option<i32>, memory_mb: Option<i32>) -> Result<(), Error> {
    for (name, value, max) in [("timeout", timeout_s, TIMEOUT_S_MAX), ("memorySize", memory_mb, MEMORY_MB_MAX)] {
        if let Some(value) = value.filter(|value| *value > max) {
            let message = format!(
                "1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint: Member must have value less than or equal to {max}"
            );
            return Err(Error::new("ValidationException", message));
        }
    }
    Ok(())
}

pub(super) fn check_environment(environment: &BTreeMap<String, String>) -> Result<(), Error> {
    let reserved: Vec<&str> = environment.keys().map(String::as_str).filter(|key| RESERVED.contains(key)).collect();
    if !reserved.is_empty() {
        return Err(invalid(&format!(
            "Lambda was unable to configure your environment variables because the environment variables you have provided contains reserved keys that are currently not supported for modification. Reserved keys used in this request: {}",
            reserved.join(", ")
        )));
    }
    let bytes: usize = environment.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > ENVIRONMENT_BYTES_MAX {
        return Err(invalid(
            "Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit.",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtimes_of_node_of_any_age_are_taken() {
        for (runtime, refusal) in [
            ("nodejs", None),
            ("nodejs4.3", None),
            ("nodejs4.3-edge", None),
            ("nodejs20.x", None),
            ("nodejs26.x", None),
            ("python3.12", Some("not served yet")),
            ("provided.al2023", Some("not served yet")),
            ("nodejs; rm", Some("enum value set")),
            ("cobol1.0", Some("enum value set")),
            ("", Some("enum value set")),
        ] {
            let answer = check_runtime(runtime).err().map(|err| err.message);
            let fits = match (&answer, refusal) {
                (None, None) => true,
                (Some(message), Some(words)) => message.contains(words),
                _ => false,
            };
            assert!(fits, "{runtime:?}: {answer:?}");
        }
    }

    #[test]
    fn environments_are_bounded_and_keep_off_reserved_names() {
        let of = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let long = "x".repeat(ENVIRONMENT_BYTES_MAX);
        for (environment, good) in [
            (of(&[]), true),
            (of(&[("STAGE", "test")]), true),
            (of(&[("AWS_REGION", "eu-west-1")]), false),
            (of(&[("A", &long)]), false),
            (of(&[("A", &long[1..])]), true),
        ] {
            assert_eq!(check_environment(&environment).is_ok(), good, "{environment:?}");
        }
    }
}
