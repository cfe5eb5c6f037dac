//! AWS's own managed policies: those that concern the services served here, with the grants that AWS documents (AWS
//! managed policy reference guide). Others are not there. Ids and version numbers are ours: AWS's change, and nobody
//! should depend on them.

use aws_lc_rs::digest;
use domain::Timestamp;

use super::unique_id::{IdKind, id_of};

#[derive(Debug)]
pub(super) struct AwsManaged {
    pub name: &'static str,
    pub path: &'static str,
    pub description: &'static str,
    pub document: &'static str,
    created_s: i64,
}

const ROOT: &str = "/";
const SERVICE_ROLE: &str = "/service-role/";

#[rustfmt::skip]
const POLICIES: &[AwsManaged] = &[
    AwsManaged { name: "AdministratorAccess", path: ROOT, created_s: 1423248006, document: include_str!("AdministratorAccess.json"), description: "Provides full access to AWS services and resources." },
    AwsManaged { name: "AWSIoTConfigReadOnlyAccess", path: ROOT, created_s: 1445982951, document: include_str!("AWSIoTConfigReadOnlyAccess.json"), description: "This policy gives read only access to the AWS IoT configuration actions" },
    AwsManaged { name: "AWSIoTDataAccess", path: ROOT, created_s: 1445982678, document: include_str!("AWSIoTDataAccess.json"), description: "This policy gives full access to the AWS IoT messaging actions" },
    AwsManaged { name: "AWSIoTFullAccess", path: ROOT, created_s: 1444317589, document: include_str!("AWSIoTFullAccess.json"), description: "This policy gives full access to the AWS IoT configuration and messaging actions" },
    AwsManaged { name: "AWSLambda_FullAccess", path: ROOT, created_s: 1605632400, document: include_str!("AWSLambda_FullAccess.json"), description: "Grants full access to AWS Lambda service, AWS Lambda console features, and other related AWS services." },
    AwsManaged { name: "AWSLambda_ReadOnlyAccess", path: ROOT, created_s: 1605632400, document: include_str!("AWSLambda_ReadOnlyAccess.json"), description: "Grants read-only access to AWS Lambda service, AWS Lambda console features, and other related AWS services." },
    AwsManaged { name: "CloudWatchLogsFullAccess", path: ROOT, created_s: 1423248122, document: include_str!("CloudWatchLogsFullAccess.json"), description: "Provides full access to CloudWatch Logs" },
    AwsManaged { name: "CloudWatchLogsReadOnlyAccess", path: ROOT, created_s: 1423248123, document: include_str!("CloudWatchLogsReadOnlyAccess.json"), description: "Provides read only access to CloudWatch Logs" },
    AwsManaged { name: "IAMFullAccess", path: ROOT, created_s: 1423248038, document: include_str!("IAMFullAccess.json"), description: "Provides full access to IAM via the AWS Management Console." },
    AwsManaged { name: "IAMReadOnlyAccess", path: ROOT, created_s: 1423248039, document: include_str!("IAMReadOnlyAccess.json"), description: "Provides read only access to IAM via the AWS Management Console." },
    AwsManaged { name: "PowerUserAccess", path: ROOT, created_s: 1423248007, document: include_str!("PowerUserAccess.json"), description: "Provides full access to AWS services and resources, but does not allow management of Users and groups." },
    AwsManaged { name: "AWSIoTLogging", path: SERVICE_ROLE, created_s: 1444317697, document: include_str!("AWSIoTLogging.json"), description: "Allows creation of Amazon CloudWatch Log groups and streaming logs to the groups" },
    AwsManaged { name: "AWSIoTRuleActions", path: SERVICE_ROLE, created_s: 1444317690, document: include_str!("AWSIoTRuleActions.json"), description: "Allows access to all AWS services supported in AWS IoT Rule Actions" },
    AwsManaged { name: "AWSIoTThingsRegistration", path: SERVICE_ROLE, created_s: 1512072000, document: include_str!("AWSIoTThingsRegistration.json"), description: "This policy allows users to register things in bulk using AWS IoT StartThingRegistrationTask API" },
    AwsManaged { name: "AWSLambdaBasicExecutionRole", path: SERVICE_ROLE, created_s: 1428591823, document: include_str!("AWSLambdaBasicExecutionRole.json"), description: "Provides write permissions to CloudWatch Logs." },
    AwsManaged { name: "AWSLambdaRole", path: SERVICE_ROLE, created_s: 1423248068, document: include_str!("AWSLambdaRole.json"), description: "Default policy for AWS Lambda service role." },
];

pub(super) fn all() -> &'static [AwsManaged] {
    POLICIES
}

/// By the ARN's last part: `policy/service-role/AWSIoTLogging`.
pub(super) fn find(resource: &str) -> Option<&'static AwsManaged> {
    POLICIES.iter().find(|policy| policy.resource() == resource)
}

impl AwsManaged {
    pub(super) fn resource(&self) -> String {
        format!("policy{}{}", self.path, self.name)
    }

    pub(super) fn id(&self) -> String {
        let hash = digest::digest(&digest::SHA256, self.resource().as_bytes());
        let mut bytes = [0; 17];
        for (to, from) in bytes.iter_mut().zip(hash.as_ref()) {
            *to = *from;
        }
        id_of(IdKind::ManagedPolicy, bytes)
    }

    pub(super) fn created_at(&self) -> Timestamp {
        Timestamp::from_seconds(self.created_s)
    }
}

#[cfg(test)]
mod tests {
    use domain::iam::{Kind, PolicyDocument};

    use super::{all, find};

    #[test]
    fn the_documents_are_policies() {
        for policy in all() {
            PolicyDocument::parse(policy.document, Kind::Identity)
                .unwrap_or_else(|err| panic!("{}: {err:?}", policy.name));
            assert!(std::ptr::eq(find(&policy.resource()).expect("found"), policy), "{}", policy.name);
            assert!(policy.id().starts_with("ANPA"));
        }
    }
}
