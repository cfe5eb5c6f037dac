//! The versions of an IoT policy: at most five, one of them the default, which is the one in force.

use domain::Timestamp;
use store::Expect;

use super::Iot;
use super::policy::{PolicyRecord, VersionRecord, missing, policy_key};
use domain::quota::POLICY_VERSIONS_MAX;

use super::shapes::{
    CreatePolicyVersionRequest, CreatePolicyVersionResponse, DeletePolicyVersionRequest, GetPolicyVersionRequest,
    GetPolicyVersionResponse, ListPolicyVersionsRequest, ListPolicyVersionsResponse, PolicyVersion,
    SetDefaultPolicyVersionRequest,
};
use crate::record::put;
use crate::{Error, Op};

impl PolicyRecord {
    fn version(&self, id: u32) -> Option<&VersionRecord> {
        self.versions.iter().find(|version| version.version == id)
    }

    /// The id of the version added.
    fn add_version(&mut self, document: String, at: Timestamp) -> u32 {
        // Records from before the highest id was kept never lost a version.
        let present = self.versions.iter().map(|version| version.version).max().unwrap_or(0);
        let id = self.highest_version.max(present).saturating_add(1);
        self.versions.push(VersionRecord { version: id, document, created_at: at });
        self.highest_version = id;
        id
    }
}

impl Iot {
    pub async fn create_policy_version(
        &self,
        op: &Op,
        input: CreatePolicyVersionRequest,
    ) -> Result<CreatePolicyVersionResponse, Error> {
        let (name, document) = (input.policy_name, input.policy_document);
        let arn = self.services.iot_policy_arn(&name);
        self.authorize(op, "iot:CreatePolicyVersion", arn.as_str())?;
        self.check_document(&name, &document)?;
        let is_default = input.set_as_default == Some(true);
        let change = |record: &mut PolicyRecord| {
            if record.versions.len() >= POLICY_VERSIONS_MAX {
                let message =
                    format!("The policy {name} already has the maximum number of versions ({POLICY_VERSIONS_MAX})");
                return Err(Error::new("VersionsLimitExceededException", message));
            }
            let id = record.add_version(document.clone(), op.now);
            if is_default {
                record.default_version = id;
            }
            Ok(id)
        };
        let id = self.change_versions(&name, op.now, change).await?;
        if is_default {
            self.services.refresh_standings_under(&name).await?;
        }
        Ok(CreatePolicyVersionResponse {
            policy_arn: Some(arn.to_string()),
            policy_document: Some(document),
            policy_version_id: Some(id.to_string()),
            is_default_version: Some(is_default),
        })
    }

    pub async fn list_policy_versions(
        &self,
        op: &Op,
        input: ListPolicyVersionsRequest,
    ) -> Result<ListPolicyVersionsResponse, Error> {
        let arn = self.services.iot_policy_arn(&input.policy_name);
        self.authorize(op, "iot:ListPolicyVersions", arn.as_str())?;
        let record = self.services.find_policy(&input.policy_name)?.ok_or_else(missing)?.value;
        let shape = |version: &VersionRecord| PolicyVersion {
            version_id: Some(version.version.to_string()),
            is_default_version: Some(version.version == record.default_version),
            create_date: Some(version.created_at.into()),
        };
        // Newest first.
        let versions = record.versions.iter().rev().map(shape).collect();
        Ok(ListPolicyVersionsResponse { policy_versions: Some(versions) })
    }

    pub async fn get_policy_version(
        &self,
        op: &Op,
        input: GetPolicyVersionRequest,
    ) -> Result<GetPolicyVersionResponse, Error> {
        let arn = self.services.iot_policy_arn(&input.policy_name);
        self.authorize(op, "iot:GetPolicyVersion", arn.as_str())?;
        let record = self.services.find_policy(&input.policy_name)?.ok_or_else(missing)?.value;
        let id = number(&input.policy_version_id)?;
        let version = record.version(id).ok_or_else(no_such_version)?;
        Ok(GetPolicyVersionResponse {
            policy_arn: Some(arn.to_string()),
            policy_name: Some(input.policy_name),
            policy_document: Some(version.document.clone()),
            policy_version_id: Some(id.to_string()),
            is_default_version: Some(id == record.default_version),
            creation_date: Some(version.created_at.into()),
            last_modified_date: Some(version.created_at.into()),
            generation_id: Some(record.generation_id),
        })
    }

    /// Live connections feel the change before the caller has its answer.
    pub async fn set_default_policy_version(
        &self,
        op: &Op,
        input: SetDefaultPolicyVersionRequest,
    ) -> Result<(), Error> {
        let name = input.policy_name;
        let arn = self.services.iot_policy_arn(&name);
        self.authorize(op, "iot:SetDefaultPolicyVersion", arn.as_str())?;
        let change = |record: &mut PolicyRecord| {
            let id = number(&input.policy_version_id)?;
            record.version(id).ok_or_else(no_such_version)?;
            record.default_version = id;
            Ok(())
        };
        self.change_versions(&name, op.now, change).await?;
        self.services.refresh_standings_under(&name).await
    }

    pub async fn delete_policy_version(&self, op: &Op, input: DeletePolicyVersionRequest) -> Result<(), Error> {
        let name = input.policy_name;
        let arn = self.services.iot_policy_arn(&name);
        self.authorize(op, "iot:DeletePolicyVersion", arn.as_str())?;
        let change = |record: &mut PolicyRecord| {
            let id = number(&input.policy_version_id)?;
            record.version(id).ok_or_else(no_such_version)?;
            if id == record.default_version {
                let message = "Cannot delete the default version of a policy; set another one as the default first.";
                return Err(Error::new("DeleteConflictException", message));
            }
            record.versions.retain(|version| version.version != id);
            Ok(())
        };
        self.change_versions(&name, op.now, change).await
    }

    async fn change_versions<T>(
        &self,
        name: &str,
        now: Timestamp,
        change: impl Fn(&mut PolicyRecord) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let services = &self.services;
        services
            .transact(|| {
                let found = services.find_policy(name)?.ok_or_else(missing)?;
                let mut record = found.value;
                let answer = change(&mut record)?;
                record.modified_at = now;
                Ok((vec![put(policy_key(name), &record, Expect::Revision(found.revision))], answer))
            })
            .await
    }
}

/// The model lets digits through, however many.
fn number(id: &str) -> Result<u32, Error> {
    id.parse().map_err(|_| no_such_version())
}

fn no_such_version() -> Error {
    Error::new("ResourceNotFoundException", "The requested version of the policy does not exist.")
}
