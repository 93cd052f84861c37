//! A mistake inside an expression, a template, a program or a path is underlined where it stands in the file.

use serde_json::Value;

use crate::harness::{Zetes, command};

const MANIFEST: &str = r#"apiVersion: argoproj.io/v1alpha1
kind: EventSource
metadata: {name: forge}
spec:
  webhook:
    hook:
      endpoint: /hook
      port: "12016"
      method: POST
      filter:
        expression: >-
          "push" in header["X"]
          and body.n = 5
    quoted: {endpoint: /q, port: "12016", method: POST, filter: {expression: "body.ref == \"żółw\" and = 5"}}
---
apiVersion: argoproj.io/v1alpha1
kind: EventSource
metadata: {name: clock}
spec:
  calendar:
    nightly: {schedule: "0 25 * * *"}
---
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {name: build}
spec:
  dependencies:
    - name: push
      eventSourceName: forge
      eventName: hook
      transform:
        jq: |
          {
            branch: .body.ref,
            files: [.body.commits[] | ]
          }
      filters:
        exprs:
          - expr: branch == "main" && ( count > 2
            fields:
              - {name: branch, path: "body.commits.#(id==1"}
              - {name: count, jsonPath: "$.files[?@.size >]"}
        data:
          - path: body.ref
            type: string
            template: '{{ .Input | trimPrefx "it''s" }}'
            value: [^main$]
          - {path: body.branch, type: string, value: ["(main|dev"]}
        script: |
          local n = 0
          for _, c in ipairs(event.files) do
            n = n +
          end
          return n > 1
  triggers:
    - template:
        name: build
        conditions: push && biuld
        conditionsReset:
          - byTime: {cron: "0 25 * * *"}
        http:
          url: http://127.0.0.1:12998/build
          payload:
            - src: {dependencyName: push, dataTemplate: "{{ if .Input.a }}x"}
              dest: commit
"#;

/// What stands under the line of `^`.
fn underlined(place: &Value) -> String {
    let number = |key: &str| usize::try_from(place[key].as_u64().unwrap()).unwrap();
    let source = place["source"].as_str().unwrap();
    let under: String = source.chars().skip(number("column") - 1).take(number("length")).collect();
    format!("{}:{} {under}", number("line"), number("column"))
}

#[tokio::test]
async fn every_mistake_inside_a_language_is_underlined() {
    let zetes = Zetes::with(&[("manifest.yaml", MANIFEST)]);
    let output = command(&["validate", "-o", "json"]).arg(zetes.manifests()).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let told: Vec<String> = told
        .iter()
        .map(|one| format!("{} {}", one["code"].as_str().unwrap(), underlined(&one["place"])))
        .collect();
    let expected = [
        "bad-expression 13:22 =",
        "bad-expression 14:104 =",
        "bad-value 21:28 25",
        "bad-jq 35:39 ]",
        "bad-expression 39:39 (",
        "suspicious-path 41:53 (id==1",
        "bad-json-path 42:59 ]",
        "bad-template 46:36 trimPrefx",
        "bad-regex 48:56 (",
        "bad-script 53:11 end",
        "unknown-dependency 58:29 biuld",
        "bad-value 60:31 25",
        "bad-template 64:61 if",
    ];
    assert_eq!(told, expected);
}
