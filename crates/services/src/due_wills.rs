//! Wills whose time has come after their connections: the broker keeps them, and here they enter as any message does.
//! Whether they may was judged when their clients connected.

use std::time::Duration;

use broker::DueWill;
use tokio::sync::watch;

use crate::Services;
use crate::messages::Origin;

/// Until a will is tried again that the store did not take.
const RETRY: Duration = Duration::from_secs(1);

impl Services {
    /// Also what makes the broker do its own chores: sessions expire only while this runs.
    pub(crate) async fn run_due_wills(&self, mut shutdown: watch::Receiver<bool>) {
        loop {
            let will = tokio::select! {
                _ = shutdown.wait_for(|down| *down) => return,
                will = self.inner.broker.next_due_will() => will,
            };
            while let Err(error) = self.publish_due_will(&will).await {
                tracing::warn!(client_id = will.client_id, %error, "a will could not be published yet");
                tokio::select! {
                    _ = shutdown.wait_for(|down| *down) => return,
                    () = tokio::time::sleep(RETRY) => {}
                }
            }
        }
    }

    /// A crash in between publishes it twice, and never not at all.
    async fn publish_due_will(&self, will: &DueWill) -> Result<(), crate::Error> {
        let origin =
            Origin { client_id: Some(will.client_id.clone()), principal: will.principal.clone(), ..Origin::default() };
        match self.accept(will.message.clone(), origin).await {
            // It would be refused for ever: a bound that was met is no reason to keep it.
            Err(error) if error.code == "ThrottlingException" => {
                tracing::warn!(client_id = will.client_id, error = error.message, "a will was not published");
            }
            outcome => outcome?,
        }
        self.inner.broker.will_published(will).await.map_err(crate::messages::refused)
    }
}
