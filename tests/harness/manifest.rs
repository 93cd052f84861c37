//! Manifests that many scenarios serve.

/// Every post to `/post` becomes a call to `url` with the body's number, tried until it is taken.
pub(crate) fn post_to_call(port: u16, url: &str) -> String {
    filtered_post_to_call(port, url, "")
}

/// The same for posts that pass `filters`, which stand under the dependency: `filters: {data: […]}`.
pub(crate) fn filtered_post_to_call(port: u16, url: &str, filters: &str) -> String {
    format!(
        r#"apiVersion: argoproj.io/v1alpha1
kind: EventSource
metadata: {{name: hooks}}
spec:
  webhook:
    post: {{endpoint: /post, port: "{port}", method: POST}}
---
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {{name: caller}}
spec:
  dependencies:
    - name: post
      eventSourceName: hooks
      eventName: post
      {filters}
  triggers:
    - template:
        name: call
        http:
          url: {url}
          method: POST
          payload: [{{src: {{dependencyName: post, dataKey: body.number}}, dest: number}}]
      retryStrategy: {{steps: 100000, duration: 100ms, jitter: 0}}
"#
    )
}
