//! `proto/eventing.proto`, written by hand: two messages and one method. Nothing is generated when this builds.

use tonic::Streaming;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic_prost::ProstCodec;

/// What a server implements.
pub const METHOD: &str = "/generic.Eventing/StartEventSource";
/// Bytes of an event. What the bus can't hold becomes a dead letter, not a broken stream.
const LONGEST_EVENT: usize = 64 * 1024 * 1024;

/// What is asked for.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EventSource {
    /// Name of the event, as the manifest has it.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The text under `config`.
    #[prost(bytes = "bytes", tag = "2")]
    pub config: bytes::Bytes,
}

/// What is sent.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Event {
    /// Not looked at.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The body.
    #[prost(bytes = "bytes", tag = "2")]
    pub payload: bytes::Bytes,
}

/// Returns with the server's first word, which may be its first event.
pub(crate) async fn start(
    channel: Channel,
    request: tonic::Request<EventSource>,
) -> Result<Streaming<Event>, tonic::Status> {
    let mut client = Grpc::new(channel).max_decoding_message_size(LONGEST_EVENT);
    let ready = client.ready().await;
    ready.map_err(|error| tonic::Status::from_error(error.into()))?;
    let method = PathAndQuery::from_static(METHOD);
    Ok(client.server_streaming(request, method, ProstCodec::default()).await?.into_inner())
}
