//! DeleteConnection: an operator ends a client's connection.

use broker::{SessionOnDisconnect, WillOnDisconnect};
use domain::Arn;

use super::IotData;
use super::shapes::DeleteConnectionRequest;
use crate::messages::refused;
use crate::{Error, Op};

impl IotData {
    /// The session stays where nothing is said of it, and the will is published.
    pub async fn delete_connection(&self, op: &Op, input: DeleteConnectionRequest) -> Result<(), Error> {
        let config = self.services.config();
        let arn = Arn::new("iot", &config.region, &config.account, &format!("client/{}", input.client_id));
        self.authorize(op, "iot:DeleteConnection", arn.as_str())?;
        let session = match input.clean_session {
            Some(true) => SessionOnDisconnect::Ended,
            _ => SessionOnDisconnect::Kept,
        };
        let will = match input.prevent_will_message {
            Some(true) => WillOnDisconnect::Prevented,
            _ => WillOnDisconnect::Published,
        };
        let found = self.services.inner.broker.disconnect(&input.client_id, session, will).await.map_err(refused)?;
        if !found {
            let message = format!("The client {} is not connected.", input.client_id);
            return Err(Error::new("ResourceNotFoundException", message));
        }
        Ok(())
    }
}
