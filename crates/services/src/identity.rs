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
    /// False in a directory from before certificates were kept in order.
    #[serde(default)]
    has_certificate_order: bool,
}

impl Stored for IdentityRecord {
    const VERSION: u32 = 1;
}

pub(crate) async fn settle(services: &Services) -> Result<(), Error> {
    let ours = ours(services);
    let is_old = services
        .transact(|| match services.find::<IdentityRecord>(KEY)? {
            None => Ok((vec![put(KEY, &ours, Expect::Absent)], false)),
            Some(found) => found.value.must_be(&ours).map(|()| (Vec::new(), !found.value.has_certificate_order)),
        })
        .await?;
    if is_old {
        services.put_certificates_in_order().await?;
        services.commit(vec![put(KEY, &ours, Expect::Anything)]).await?;
    }
    Ok(())
}

/// Writes nothing.
pub(crate) fn check(services: &Services) -> Result<(), Error> {
    services.find::<IdentityRecord>(KEY)?.map_or(Ok(()), |found| found.value.must_be(&ours(services)))
}

fn ours(services: &Services) -> IdentityRecord {
    let config = services.config();
    let (account, region) = (config.account.to_string(), config.region.to_string());
    IdentityRecord { account, region, has_certificate_order: true }
}

impl IdentityRecord {
    fn must_be(&self, ours: &Self) -> Result<(), Error> {
        if (&self.account, &self.region) == (&ours.account, &ours.region) {
            return Ok(());
        }
        Err(Error::internal(format!(
            "the data directory belongs to account {} in region {}, and the server was started for account {} in {}. Start it with those, or choose another data directory.",
            self.account, self.region, ours.account, ours.region
        )))
    }
}
