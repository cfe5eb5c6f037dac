//! What a device may ask for, by the names that policies use.

use super::scope::ResourceKind;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IotAction {
    Connect,
    Publish,
    Subscribe,
    Receive,
    RetainPublish,
    /// By HTTPS, as the next: MQTT has no such request.
    GetRetainedMessage,
    ListRetainedMessages,
}

impl IotAction {
    pub const ALL: [Self; 7] = [
        Self::Connect,
        Self::Publish,
        Self::Subscribe,
        Self::Receive,
        Self::RetainPublish,
        Self::GetRetainedMessage,
        Self::ListRetainedMessages,
    ];

    /// `iot:Connect`, ...
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "iot:Connect",
            Self::Publish => "iot:Publish",
            Self::Subscribe => "iot:Subscribe",
            Self::Receive => "iot:Receive",
            Self::RetainPublish => "iot:RetainPublish",
            Self::GetRetainedMessage => "iot:GetRetainedMessage",
            Self::ListRetainedMessages => "iot:ListRetainedMessages",
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
            Self::GetRetainedMessage => "iot:getretainedmessage",
            Self::ListRetainedMessages => "iot:listretainedmessages",
        }
    }

    /// `None` for what is about nothing in particular: its resource is `*`, and no connection asks for it.
    pub(super) fn kind(self) -> Option<ResourceKind> {
        match self {
            Self::Connect => Some(ResourceKind::Client),
            Self::Subscribe => Some(ResourceKind::TopicFilter),
            Self::Publish | Self::Receive | Self::RetainPublish | Self::GetRetainedMessage => Some(ResourceKind::Topic),
            Self::ListRetainedMessages => None,
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
        Self::of(|action| self.contains(action) && action.kind() == Some(kind))
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
