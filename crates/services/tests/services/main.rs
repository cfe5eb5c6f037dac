//! The services in one process, verb by verb: tables of inputs, and what each must answer. No function runs.

mod admission;
mod admission_records;
mod authorization;
mod basic_ingest;
mod ca_certificates;
mod certificate_deletion;
mod certificate_issue;
mod certificate_registration;
mod certificates;
mod functions;
mod iot_data;
mod logs;
mod managed_policies;
mod outbox;
mod policies;
mod policy_versions;
mod publish;
mod republish;
mod roles;
mod sessions;
mod tags;
mod things;
mod topic_rules;
mod twins;
mod world;
