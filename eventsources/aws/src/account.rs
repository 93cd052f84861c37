//! What all kinds have in common: who we are to AWS.

use connection_aws::Settings;
use eventsource_core::{Check, Context};
use zetes_api::SecretKeyRef;

/// Settings that name nothing yet.
pub(crate) fn settings(cx: &Context) -> Settings {
    Settings {
        region: String::new(),
        endpoint: String::new(),
        role_arn: String::new(),
        access_key: None,
        secret_key: None,
        session_token: None,
        ca_certificate: None,
        namespace: cx.namespace().clone(),
        secrets: cx.secrets(),
        clock: cx.clock().clone(),
    }
}

/// The two keys belong together. The reference finds that out when it connects, so that it is a warning.
pub(crate) fn check_keys(
    check: &mut Check,
    role_arn: &str,
    access: Option<&SecretKeyRef>,
    secret: Option<&SecretKeyRef>,
) {
    if role_arn.is_empty() && access.is_some() != secret.is_some() {
        check.idle("accessKey", "expected `accessKey` and `secretKey` together");
    }
}

/// An endpoint is an address with its scheme.
pub(crate) fn check_endpoint(check: &mut Check, endpoint: &str) {
    if !endpoint.is_empty() && !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
        check.idle(
            "endpoint",
            format_args!("expected an address such as `https://host:port`, found `{endpoint}`"),
        );
    }
}
