//! The ARNs that devices' requests are about: all of one region and account, three kinds.

use super::action::IotAction;
use crate::{AccountId, Region};

/// What a request's subject is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResourceKind {
    /// A client id.
    Client,
    /// A topic.
    Topic,
    /// A topic filter, as the client wrote it: `$share/<group>/` is part of it.
    TopicFilter,
}

impl ResourceKind {
    pub(super) const ALL: [Self; 3] = [Self::Client, Self::Topic, Self::TopicFilter];
}

/// What stands before the subject in the ARNs of one region and account, written once.
#[derive(Clone, Debug)]
pub struct ResourceScope {
    client: String,
    topic: String,
    topic_filter: String,
}

impl ResourceScope {
    pub fn new(region: &Region, account: &AccountId) -> Self {
        let before = |kind: &str| format!("arn:{}:iot:{region}:{account}:{kind}/", region.partition());
        Self { client: before("client"), topic: before("topic"), topic_filter: before("topicfilter") }
    }

    pub(super) fn prefix(&self, kind: ResourceKind) -> &str {
        match kind {
            ResourceKind::Client => &self.client,
            ResourceKind::Topic => &self.topic,
            ResourceKind::TopicFilter => &self.topic_filter,
        }
    }

    /// The whole ARN, for whoever reads about a decision.
    pub fn arn(&self, action: IotAction, subject: &str) -> String {
        action.kind().map_or_else(|| "*".to_owned(), |kind| format!("{}{subject}", self.prefix(kind)))
    }
}
