use std::io::{Read, Write};

use crate::certificates::Pem;
use crate::process::connect;
use crate::tls::connect_tls;
use crate::{Certificates, MosquittoServer, Settings, Tls, eventually};

/// As the protocol writes texts.
fn text(text: &str) -> Vec<u8> {
    [&u16::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat()
}

fn packet(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [&[kind, u8::try_from(body.len()).unwrap()], body.as_slice()].concat()
}

/// A client with an id and a session that stays; what CONNACK says.
fn sign_in(stream: &mut (impl Read + Write), user: Option<(&str, &str)>) -> std::io::Result<u8> {
    let flags = if user.is_some() { 0b1100_0000 } else { 0 };
    let (name, password) = user.map_or((Vec::new(), Vec::new()), |(name, word)| (text(name), text(word)));
    let head = [&text("MQTT"), [4, flags, 0, 60].as_slice()].concat();
    stream.write_all(&packet(0x10, &[&head, &text("client"), &name, &password]))?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)?;
    Ok(answer[3])
}

/// Sends a packet and gives as many bytes of the answer.
fn ask<const N: usize>(stream: &mut (impl Read + Write), packet: &[u8]) -> [u8; N] {
    stream.write_all(packet).unwrap();
    let mut answer = [0; N];
    stream.read_exact(&mut answer).unwrap();
    answer
}

/// The message that is kept under `orders`.
fn retained(mosquitto: &MosquittoServer) -> Option<String> {
    let mut stream = connect(mosquitto.port())?;
    sign_in(&mut stream, None).ok()?;
    // SUBACK, then PUBLISH with its head, topic and payload.
    let answer: [u8; 17] = ask(&mut stream, &packet(0x82, &[&[0, 1], &text("orders"), &[0]]));
    Some(String::from_utf8_lossy(&answer[15..]).into_owned())
}

#[test]
fn a_retained_message_outlives_a_kill() {
    let mut mosquitto = MosquittoServer::start();
    let mut stream = connect(mosquitto.port()).unwrap();
    assert_eq!(sign_in(&mut stream, None).unwrap(), 0);
    let publish = packet(0x33, &[&text("orders"), &[0, 7], b"a1"]);
    assert_eq!(ask(&mut stream, &publish), [0x40, 2, 0, 7]);
    let saved = mosquitto.folder().join("mosquitto.db");
    eventually("the message to be saved", || {
        std::fs::read(&saved).ok()?.windows(2).any(|two| two == b"a1").then_some(())
    });
    mosquitto.kill();
    assert!(connect(mosquitto.port()).is_none());
    mosquitto.restart();
    assert_eq!(retained(&mosquitto).unwrap(), "a1");
}

#[test]
fn who_has_no_password_stays_outside() {
    let mosquitto =
        MosquittoServer::start_with(&Settings { users: &[("zetes", "secret")], ..Settings::default() });
    let answer = |user| sign_in(&mut connect(mosquitto.port()).unwrap(), user).unwrap();
    assert_eq!(answer(None), 5);
    assert_eq!(answer(Some(("zetes", "wrong"))), 5);
    assert_eq!(answer(Some(("zetes", "secret"))), 0);
}

#[test]
fn it_speaks_tls_and_demands_a_certificate_where_asked() {
    let certificates = Certificates::new();
    let answer = |mosquitto: &MosquittoServer, ca: &Pem, shown: Option<&Pem>| {
        sign_in(&mut connect_tls(mosquitto.tls_port(), ca, shown).unwrap(), None).ok()
    };
    let (ca, client) = (&certificates.ca, Some(&certificates.client));
    let mosquitto =
        MosquittoServer::start_with(&Settings { tls: Tls::Server(&certificates), ..Settings::default() });
    assert_eq!(answer(&mosquitto, ca, None), Some(0));
    assert_eq!(answer(&mosquitto, &certificates.wrong_ca, None), None);
    let mosquitto =
        MosquittoServer::start_with(&Settings { tls: Tls::Mutual(&certificates), ..Settings::default() });
    assert_eq!(answer(&mosquitto, ca, client), Some(0));
    assert_eq!(answer(&mosquitto, ca, None), None);
}
