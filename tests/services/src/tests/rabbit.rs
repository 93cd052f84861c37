use std::io::{self, Read, Write};

use crate::certificates::Pem;
use crate::process::connect;
use crate::tls::connect_tls;
use crate::{Certificates, RabbitServer, Settings, Tls};

/// A client that knows just enough of AMQP 0-9-1 to keep a message.
struct Client<S> {
    stream: S,
}

/// Class and method of the protocol.
type Method = (u16, u16);

const OPEN_OK: Method = (10, 41);
const CLOSE: Method = (10, 50);

fn short(text: &str) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

fn long(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

impl<S: Read + Write> Client<S> {
    /// Up to an open virtual host; or the method that the server refused it with, if it said one.
    fn sign_in(stream: S, user: &str, password: &str, host: &str) -> io::Result<Self> {
        let mut client = Self { stream };
        client.stream.write_all(b"AMQP\x00\x00\x09\x01")?;
        client.expect((10, 10))?;
        let plain = format!("\0{user}\0{password}");
        client.send(0, (10, 11), &[&long(b""), &short("PLAIN"), &long(plain.as_bytes()), &short("en_US")])?;
        client.expect((10, 30))?;
        client.send(0, (10, 31), &[&[0, 10, 0, 2, 0, 0, 0, 0]])?;
        client.send(0, (10, 40), &[&short(host), &[0, 0]])?;
        client.expect(OPEN_OK)?;
        client.send(1, (20, 10), &[&[0]])?;
        client.expect((20, 11))?;
        Ok(client)
    }

    fn send(&mut self, channel: u8, (class, method): Method, arguments: &[&[u8]]) -> io::Result<()> {
        let body = [&class.to_be_bytes(), &method.to_be_bytes(), arguments.concat().as_slice()].concat();
        self.frame(1, channel, &body)
    }

    fn frame(&mut self, kind: u8, channel: u8, body: &[u8]) -> io::Result<()> {
        self.stream.write_all(&[&[kind, 0, channel], long(body).as_slice(), &[0xce]].concat())
    }

    fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut head = [0; 7];
        self.stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes(head[3..].try_into().unwrap());
        let mut body = vec![0; usize::try_from(length).unwrap() + 1];
        self.stream.read_exact(&mut body)?;
        body.pop();
        Ok(body)
    }

    fn expect(&mut self, (class, method): Method) -> io::Result<()> {
        let body = self.receive()?;
        let found = (u16::from_be_bytes([body[0], body[1]]), u16::from_be_bytes([body[2], body[3]]));
        if found == CLOSE {
            return Err(io::Error::other("the server closed the connection"));
        }
        assert_eq!(found, (class, method));
        Ok(())
    }

    /// A queue that stays, and a message in it that stays; returns when the server has it.
    fn keep(&mut self, queue: &str, message: &str) -> io::Result<()> {
        self.send(1, (50, 10), &[&[0, 0], &short(queue), &[0b10], &long(b"")])?;
        self.expect((50, 11))?;
        self.send(1, (85, 10), &[&[0]])?;
        self.expect((85, 11))?;
        self.send(1, (60, 40), &[&[0, 0], &short(""), &short(queue), &[0]])?;
        let length = u64::try_from(message.len()).unwrap().to_be_bytes();
        // The header: class, weight, length, the flag of the delivery mode, and the mode that stays.
        self.frame(2, 1, &[&[0, 60, 0, 0], length.as_slice(), &[0x10, 0, 2]].concat())?;
        self.frame(3, 1, message.as_bytes())?;
        self.expect((60, 80))
    }

    fn get(&mut self, queue: &str) -> io::Result<String> {
        self.send(1, (60, 70), &[&[0, 0], &short(queue), &[1]])?;
        self.expect((60, 71))?;
        self.receive()?;
        Ok(String::from_utf8_lossy(&self.receive()?).into_owned())
    }
}

fn guest(rabbit: &RabbitServer, host: &str) -> io::Result<Client<std::net::TcpStream>> {
    Client::sign_in(connect(rabbit.port()).unwrap(), "guest", "guest", host)
}

/// Over 5 s where all run at once: each starts a virtual machine, or two.
mod slow {
    use super::*;

    #[test]
    fn a_message_outlives_a_kill() {
        let mut rabbit = RabbitServer::start();
        guest(&rabbit, "orders").unwrap().keep("news", "a1").unwrap();
        rabbit.kill();
        assert!(connect(rabbit.port()).is_none());
        rabbit.restart();
        assert_eq!(guest(&rabbit, "orders").unwrap().get("news").unwrap(), "a1");
        assert!(guest(&rabbit, "closed").is_err());
        rabbit.stop();
        assert!(connect(rabbit.port()).is_none());
        let epmd = rabbit.kind.ports.epmd;
        assert!(connect(epmd).is_some());
        drop(rabbit);
        assert!(connect(epmd).is_none());
    }

    #[test]
    fn users_come_in_by_their_passwords_and_by_tls() {
        let certificates = Certificates::new();
        let users = [("zetes", "secret")];
        let settings = Settings { users: &users, tls: Tls::Server(&certificates), ..Settings::default() };
        let rabbit = RabbitServer::start_with(&settings);
        let plain = |password| Client::sign_in(connect(rabbit.port()).unwrap(), "zetes", password, "/");
        assert!(plain("secret").is_ok());
        assert!(plain("wrong").is_err());
        assert!(guest(&rabbit, "/").is_err());
        let tls = |ca: &Pem| {
            Client::sign_in(connect_tls(rabbit.tls_port(), ca, None).unwrap(), "zetes", "secret", "/").is_ok()
        };
        assert!(tls(&certificates.ca));
        assert!(!tls(&certificates.wrong_ca));
    }

    #[test]
    #[should_panic(expected = "RabbitMQ ended")]
    fn a_configuration_that_it_refuses_fails_with_its_log() {
        RabbitServer::start_with(&Settings { conf: "no_such_setting = 1", ..Settings::default() });
    }

    #[test]
    fn a_certificate_is_demanded_where_asked() {
        let certificates = Certificates::new();
        let rabbit =
            RabbitServer::start_with(&Settings { tls: Tls::Mutual(&certificates), ..Settings::default() });
        let answers = |shown: Option<&Pem>| {
            let stream = connect_tls(rabbit.tls_port(), &certificates.ca, shown).unwrap();
            Client::sign_in(stream, "guest", "guest", "/").is_ok()
        };
        assert!(answers(Some(&certificates.client)));
        assert!(!answers(None));
    }
}
