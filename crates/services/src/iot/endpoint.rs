//! Where devices connect.

use super::Iot;
use super::shapes::{DescribeEndpointRequest, DescribeEndpointResponse};
use crate::{Error, Op};

impl Iot {
    /// A host name without a port, as AWS answers; devices find 8883 or 443 by themselves. `iot:Data` (the endpoint with
    /// a certificate that was not signed by Amazon's own CA) is refused by AWS today, and so it is here.
    pub async fn describe_endpoint(
        &self,
        op: &Op,
        input: DescribeEndpointRequest,
    ) -> Result<DescribeEndpointResponse, Error> {
        self.authorize(op, "iot:DescribeEndpoint", "*")?;
        match input.endpoint_type.as_deref() {
            None | Some("iot:Data-ATS" | "iot:CredentialProvider") => Ok(DescribeEndpointResponse {
                endpoint_address: self.services.config().endpoint_names.first().cloned(),
            }),
            Some(other) => Err(Error::new(
                "InvalidRequestException",
                format!("Endpoint type {other} is not served. Use iot:Data-ATS or iot:CredentialProvider."),
            )),
        }
    }
}
