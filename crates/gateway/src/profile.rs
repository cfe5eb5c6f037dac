//! How a listener speaks MQTT: as AWS IoT shapes it, or as the standards say.
//!
//! One value per listener. It chooses what a session may ask for, how subscriptions match, and which topics are a
//! client's to use. Who judges a client's rights is another matter: `connection::rights`.

use broker::{ClaimOptions, InboxLimits, RetainedFor};
use mqtt::packet::Properties;
use mqtt::session::Limits as SessionLimits;
use mqtt::topic::MultiLevel;

use crate::limits::Limits;
use crate::{aws_profile, mqtt_profile};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    Aws,
    /// MQTT 3.1.1 and 5.0 in full.
    Mqtt,
}

impl Profile {
    pub(crate) fn session_limits(self, limits: &Limits) -> SessionLimits {
        match self {
            Self::Aws => aws_profile::session_limits(limits),
            Self::Mqtt => mqtt_profile::session_limits(limits),
        }
    }

    pub(crate) fn claim_options(self) -> ClaimOptions {
        match self {
            // `sensor/#` does not match `sensor` on AWS, and a wildcard gets no retained messages.
            Self::Aws => ClaimOptions {
                multi_level: MultiLevel::BelowParent,
                retained_for: RetainedFor::ExactFilters,
                ..ClaimOptions::default()
            },
            Self::Mqtt => {
                let inbox = InboxLimits { bytes_max: mqtt_profile::INBOX_BYTES_MAX, ..InboxLimits::default() };
                ClaimOptions { inbox, ..ClaimOptions::default() }
            }
        }
    }

    /// As `claim_options`, with what the configuration says.
    pub(crate) fn claim_options_within(self, limits: &Limits) -> ClaimOptions {
        let options = self.claim_options();
        ClaimOptions { inbox: InboxLimits { messages_max: limits.inbox_messages_max, ..options.inbox }, ..options }
    }

    /// Whether AWS's rates are measured.
    pub(crate) fn has_rates(self) -> bool {
        self == Self::Aws
    }

    pub(crate) fn subscriptions_max(self) -> usize {
        match self {
            Self::Aws => aws_profile::SUBSCRIPTIONS_PER_CONNECTION_MAX,
            Self::Mqtt => mqtt_profile::SUBSCRIPTIONS_PER_CONNECTION_MAX,
        }
    }

    pub(crate) fn check_client_id(self, client_id: &str) -> Result<(), String> {
        match self {
            Self::Aws => aws_profile::check_client_id(client_id),
            Self::Mqtt => Ok(()),
        }
    }

    /// Whether a client may publish here at all; policies are asked afterwards.
    pub(crate) fn check_publish(self, topic: &str) -> Result<(), String> {
        match self {
            Self::Aws => domain::topic::check_publish(topic),
            Self::Mqtt => mqtt_profile::check_publish(topic),
        }
    }

    pub(crate) fn check_retain(self, topic: &str) -> Result<(), String> {
        match self {
            Self::Aws => domain::topic::check_retain(topic),
            Self::Mqtt => Ok(()),
        }
    }

    pub(crate) fn check_filter(self, filter: &str) -> Result<(), String> {
        match self {
            Self::Aws => domain::topic::check_filter(filter),
            Self::Mqtt => Ok(()),
        }
    }

    pub(crate) fn check_properties(self, properties: &Properties) -> Result<(), String> {
        match self {
            Self::Aws => aws_profile::check_properties(properties),
            Self::Mqtt => mqtt_profile::check_properties(properties),
        }
    }

    /// What goes with a message to its receivers.
    pub(crate) fn message_properties(self, published: Properties) -> Properties {
        match self {
            Self::Aws => aws_profile::message_properties(published),
            Self::Mqtt => published.of_message(),
        }
    }
}
