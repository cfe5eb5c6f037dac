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
    let config = services.config();
    let ours = IdentityRecord { account: config.account.to_string(), region: config.region.to_string() };
    services
        .transact(|| match services.find::<IdentityRecord>(KEY)? {
            None => Ok((vec![put(KEY, &ours, Expect::Absent)], ())),
            Some(found) if found.value == ours => Ok((Vec::new(), ())),
            Some(found) => Err(Error::internal(format!(
                "the data directory belongs to account {} in region {}, and the server was started for account {} in {}. Start it with those, or choose another data directory.",
                found.value.account, found.value.region, ours.account, ours.region
            ))),
        })
        .await
}
