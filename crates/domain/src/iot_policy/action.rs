//! What a device may ask for, by the names that policies use.

use super::scope::ResourceKind;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IotAction {
    Connect,
    Publish,
    Subscribe,
    Receive,
    RetainPublish,
}

impl IotAction {
    pub const ALL: [Self; 5] = [Self::Connect, Self::Publish, Self::Subscribe, Self::Receive, Self::RetainPublish];

    /// `iot:Connect`, ...
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "iot:Connect",
            Self::Publish => "iot:Publish",
            Self::Subscribe => "iot:Subscribe",
            Self::Receive => "iot:Receive",
            Self::RetainPublish => "iot:RetainPublish",
        }
    }

    /// As compiled patterns hold actions.
    pub(super) const fn lower_case(self) -> &'static str {
        match self {
            Self::Connect => "iot:connect",
            Self::Publish => "iot:publish",
            Self::Subscribe => "iot:subscribe",
            Self::Receive => "iot:receive",
            Self::RetainPublish => "iot:retainpublish",
        }
    }

    pub(super) const fn kind(self) -> ResourceKind {
        match self {
            Self::Connect => ResourceKind::Client,
            Self::Subscribe => ResourceKind::TopicFilter,
            Self::Publish | Self::Receive | Self::RetainPublish => ResourceKind::Topic,
        }
    }
}

/// The actions that a statement covers, worked out once, so that judging compares no action names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ActionSet(u8);

impl ActionSet {
    pub(super) fn of(covers: impl Fn(IotAction) -> bool) -> Self {
        let covered = IotAction::ALL.into_iter().filter(|action| covers(*action));
        Self(covered.fold(0, |bits, action| bits | Self::bit(action)))
    }

    pub(super) fn of_kind(self, kind: ResourceKind) -> Self {
        Self::of(|action| self.contains(action) && action.kind() == kind)
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) const fn contains(self, action: IotAction) -> bool {
        self.0 & Self::bit(action) != 0
    }

    const fn bit(action: IotAction) -> u8 {
        1 << action as u8
    }
}
