use crate::desired::Port;

fn read(text: &str) -> Result<String, String> {
    text.parse::<Port>().map(|port| port.to_string())
}

#[test]
fn a_port_has_one_normalised_text() {
    for (given, normal) in [
        ("8080:80", "8080:80/tcp"),
        ("127.0.0.1:5353:53/udp", "127.0.0.1:5353:53/udp"),
        ("[::1]:1:65535/tcp", "[::1]:1:65535/tcp"),
        ("[0:0::1]:1:2", "[::1]:1:2/tcp"),
    ] {
        assert_eq!(read(given).as_deref(), Ok(normal));
        assert_eq!(read(normal).as_deref(), Ok(normal));
    }
}

#[test]
fn what_is_no_port_is_refused_with_the_accepted_form() {
    for (bad, why) in [
        ("80", "two are needed"),
        ("", "two are needed"),
        ("8000-8010:80", "range"),
        ("0:80", "no port from 1"),
        ("80:65536", "no port from 1"),
        ("+80:80", "no port from 1"),
        ("80:", "no port from 1"),
        ("localhost:80:80", "no IP address"),
        ("::1:80:80", "no IP address"),
        ("[127.0.0.1]:80:80", "no IP address"),
        ("80:80/TCP", "use tcp or udp"),
        ("80:80/", "use tcp or udp"),
        ("80:80/sctp", "use tcp or udp"),
        (" 80:80", "no port from 1"),
    ] {
        let message = read(bad).unwrap_err();
        assert!(message.contains(why), "{bad}: {message}");
    }
}

#[test]
fn ports_collide_where_their_addresses_overlap() {
    let collide = |a: &str, b: &str| {
        let (a, b): (Port, Port) = (a.parse().unwrap(), b.parse().unwrap());
        assert_eq!(a.collides(&b), b.collides(&a));
        a.collides(&b)
    };
    assert!(collide("80:1", "80:2"));
    assert!(collide("80:1", "10.0.0.1:80:2"));
    assert!(collide("0.0.0.0:80:1", "10.0.0.1:80:2"));
    assert!(collide("[::]:80:1", "[::1]:80:2"));
    assert!(!collide("0.0.0.0:80:1", "[::]:80:1"));
    assert!(!collide("10.0.0.1:80:1", "10.0.0.2:80:1"));
    assert!(!collide("80:1", "80:1/udp"));
    assert!(!collide("80:1", "81:1"));
}
