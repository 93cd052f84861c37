use crate::{Certificates, MinioServer, Settings, Tls};

fn content(minio: &MinioServer, path: &str) -> Option<String> {
    minio.request("GET", path, b"").filter(|answer| answer.status == 200).map(|answer| answer.body)
}

#[test]
fn an_object_outlives_a_kill() {
    let mut minio = MinioServer::start();
    minio.create_bucket("orders");
    minio.put_object("orders", "a1", b"sku");
    minio.put_object("orders", "a2", b"sku");
    minio.kill();
    assert_eq!(content(&minio, "/orders/a1"), None);
    minio.restart();
    assert_eq!(content(&minio, "/orders/a1").unwrap(), "sku");
    minio.delete_object("orders", "a2");
    assert_eq!(content(&minio, "/orders/a2"), None);
    let listed = content(&minio, "/orders?list-type=2&prefix=a").unwrap();
    assert!(listed.contains("<Key>a1</Key>"), "{listed}");
}

#[test]
fn who_has_no_password_stays_outside_and_tls_is_spoken_where_asked() {
    let certificates = Certificates::new();
    let users = [("other", "another-secret")];
    let settings = Settings { users: &users, tls: Tls::Server(&certificates), ..Settings::default() };
    let minio = MinioServer::start_with(&settings);
    assert!(minio.url().starts_with("https://localhost:"));
    minio.create_bucket("orders");
    let status = |password: &str| minio.kind.request(password, "GET", "/orders", b"").unwrap().status;
    assert_eq!(status("another-secret"), 200);
    assert_eq!(status("zetes-secret"), 403);
}
