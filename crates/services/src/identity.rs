//! Which account and region a store belongs to. Every ARN in it names them, so they cannot change under it.

use serde::{Deserialize, Serialize};
use store::Expect;

use crate::record::{Stored, put};
use crate::{Error, Services};

const KEY: &str = "server/identity";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct IdentityRecord {
    account: String,
    region: String,
}

impl Stored for IdentityRecord {
    const VERSION: u32 = 1;
}

pub(crate) async fn settle(services: &Services) -> Result<(), Error> {
    let ours = ours(services);
    services
        .transact(|| match services.find::<IdentityRecord>(KEY)? {
            None => Ok((vec![put(KEY, &ours, Expect::Absent)], ())),
            Some(found) => found.value.must_be(&ours).map(|()| (Vec::new(), ())),
        })
        .await
}

/// Writes nothing.
pub(crate) fn check(services: &Services) -> Result<(), Error> {
    services.find::<IdentityRecord>(KEY)?.map_or(Ok(()), |found| found.value.must_be(&ours(services)))
}

fn ours(services: &Services) -> IdentityRecord {
    let config = services.config();
    IdentityRecord { account: config.account.to_string(), region: config.region.to_string() }
}

impl IdentityRecord {
    fn must_be(&self, ours: &Self) -> Result<(), Error> {
        if self == ours {
            return Ok(());
        }
        Err(Error::internal(format!(
            "the data directory belongs to account {} in region {}, and the server was started for account {} in {}. Start it with those, or choose another data directory.",
            self.account, self.region, ours.account, ours.region
        )))
    }
}
